import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { createLog } from '../runtime/log.ts';
import { createShutdown } from '../runtime/shutdown.ts';
import { exitWhenStuck } from './stuck.ts';

test('a process whose claim loops are stuck drains, then exits with 70', async () => {
  const seen: unknown[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      seen.push(JSON.parse(String(chunk)).reason);
      done();
    },
  });
  const shutdown = createShutdown({ log: createLog({ name: 'worker', destination }) });
  shutdown.add({ name: 'drain', deadlineMs: 1_000, run: () => void seen.push('drained') });
  let stuck: (reason: string) => void = () => undefined;
  const code = new Promise<number>((resolve) => {
    exitWhenStuck({ stuck: new Promise((say) => (stuck = say)) }, shutdown, resolve);
  });
  stuck('The claim loop of acting has had no answer.');
  expect(await code).toBe(70);
  expect(seen.filter((one) => one !== undefined)).toEqual(['The claim loop of acting has had no answer.', 'drained']);
});
