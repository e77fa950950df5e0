/** The examples run as they stand. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../', import.meta.url));

async function example(name: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, ['--import', 'tsx', `examples/${name}.ts`], {
    cwd: root,
    env: { ...process.env, QUEUE_URL: 'embedded:memory' },
  });
  return JSON.parse(stdout);
}

it('enqueues a typed job once for one idempotency key', async () => {
  expect(await example('enqueue')).toEqual({ same: true, duplicate: true, status: 'waiting' });
});

it('runs a job type of its own without a queue', async () => {
  expect(await example('own-job')).toEqual([
    { state: 'done' },
    { text: 'Hello, Ada' },
    { state: 'dead', code: 'BAD_SOURCE' },
  ]);
});

it('ranks from what is kept: the same comparisons twice count once', async () => {
  expect(await example('popular-comparisons')).toEqual([
    ['Creta v Nexon', 2],
    ['Creta v Seltos', 1],
  ]);
});
