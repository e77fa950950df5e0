import { expect, test } from 'vitest';
import { createLog } from './log.ts';

function lines() {
  const written: string[] = [];
  return {
    written,
    log: createLog({ name: 'test', level: 'debug', destination: { write: (line) => void written.push(line) } }),
  };
}

test('writes one JSON line per event, with the level as a word and an ISO time', () => {
  const { written, log } = lines();
  log.info(
    { queue: 'email-sending', jobId: 'email-sending_01JD8Z0000000000000000000A', durationMs: 5 },
    'attempt %s',
    'done',
  );
  expect(written).toHaveLength(1);
  expect(JSON.parse(written[0] ?? '')).toMatchObject({
    level: 'info',
    name: 'test',
    queue: 'email-sending',
    jobId: 'email-sending_01JD8Z0000000000000000000A',
    durationMs: 5,
    msg: 'attempt done',
  });
});

test('no planted secret survives: fields, messages, arguments, errors with cause and own fields, children', () => {
  const { written, log } = lines();
  const error = Object.assign(new Error('mail to ada@example.com', { cause: new Error('postgres://u:hunter2@db/x') }), {
    password: 'hunter2',
  });
  log.info({ password: 'hunter2', nested: { deep: [{ token: 'hunter2' }] } }, 'for ada@example.com');
  log.warn('to %s with password=hunter2', 'ada@example.com');
  log.error(error);
  log.error({ err: error });
  log.error({ error }, 'failed');
  log.child({ to: 'ada@example.com' }).info('child');
  const all = written.join('');
  expect(written).toHaveLength(6);
  expect(all).not.toContain('hunter2');
  expect(all).not.toContain('ada@');
});
