/** `--json` of the commands that stay: one document on standard output when they are ready, log lines beside it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { program } from './support/compiled.ts';

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
  const child = spawn(process.execPath, [...program('cli/main.ts'), command, '--json', ...more], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      TMPDIR: folder,
      PORT: '0',
      HOST: '127.0.0.1',
      SMTP_URL: 'smtp://127.0.0.1:1',
      LOG_LEVEL: 'debug',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  let said = '';
  let logged = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (logged += String(text)));
  try {
    for await (const text of child.stdout.setEncoding('utf8')) {
      said += String(text);
      if (said.endsWith('}\n')) break;
    }
    expect(JSON.parse(said), logged).toMatchObject(facts);
  } finally {
    child.kill('SIGTERM');
    child.stdout.resume().on('data', (text) => (said += String(text)));
    await ended;
  }
  expect(JSON.parse(said)).toMatchObject(facts);
});
