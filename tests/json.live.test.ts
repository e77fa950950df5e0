/** `--json` of the commands that stay: one document on standard output when they are ready, log lines beside it. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startCli } from './support/cli-process.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-json-'));
  await chmod(folder, 0o755); // run by root, the embedded server is nobody's
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.each([
  ['api', [], { url: expect.stringMatching(/^http:\S+\/v1$/) }],
  ['dashboard', [], { url: expect.stringMatching(/^http:\S+\/board$/), boardUsers: expect.any(String) }],
  ['worker', ['--queues', 'email-sending'], { health: expect.stringMatching(/^http:/), serves: ['email-sending'] }],
  [
    'worker',
    ['--queues', 'email-sending', '--processes', '1'],
    { health: expect.stringMatching(/^http:/), processes: 1, pid: expect.any(Number) },
  ],
  ['up', [], { url: expect.stringMatching(/^http:/), store: 'embedded', unavailable: expect.any(Object) }],
])('%s %j', async (command, more, facts) => {
  const env = { SMTP_URL: 'smtp://127.0.0.1:1', LOG_LEVEL: 'debug' };
  const started = await startCli([command, ...more], folder, env);
  const said = await started.stop();
  expect(started.ready).toMatchObject(facts);
  expect(JSON.parse(said)).toEqual(started.ready);
});
