/** The environment somebody gave: `up` obeys it, processes of one data folder share it, `.env` holds it. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { bearer } from '../producers/bearer.ts';
import { crowding } from './support/crowding.ts';
import { openTerminal, type Terminal } from './support/terminal.ts';

const limitMs = 60_000 * crowding();
vi.setConfig({ testTimeout: 2 * limitMs, hookTimeout: limitMs });
const run = promisify(execFile);
const program = fileURLToPath(new URL('../cli/jobfleet.js', import.meta.url));
const key = `all "quotes", it's $HOME and \`id\`, \\ blanks  twice, ключ 🔑 ${'.'.repeat(600)}`;
let folder: string;
let terminals: Terminal[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-up-'));
  await chmod(folder, 0o755); // Run by root, the embedded server is nobody's.
});
afterEach(async () => {
  for (const terminal of terminals) await terminal.kill();
  terminals = [];
  await rm(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Nothing of this machine's own environment but where programs are. */
function env(variables: Record<string, string>): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: folder, TMPDIR: process.env['TMPDIR'], LANG: 'C.UTF-8', ...variables };
}

async function start(command: string, variables: Record<string, string>, ...args: string[]): Promise<Terminal> {
  const terminal = openTerminal(process.execPath, [program, command, ...args], { cwd: folder, env: env(variables) });
  terminals.push(terminal);
  await terminal.until(/ready/i, { timeoutMs: limitMs });
  return terminal;
}

/** What the banner says of the board's login. */
function login(server: Terminal): Record<string, string> {
  const password = /login admin \/ (\S+)\)/.exec(server.text())?.[1];
  return { authorization: `Basic ${Buffer.from(`admin:${password}`).toString('base64')}` };
}

async function jobfleet(variables: Record<string, string>, ...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [program, ...args, '--json'], { cwd: folder, env: env(variables) });
  return JSON.parse(stdout) as Record<string, unknown>;
}

test('PORT, HOST, DATA_DIR, JOBFLEET_KEY and QUEUE_URL are obeyed as they are', async () => {
  const port = String(await freePort());
  const dataDir = join(folder, 'my data');
  const store = join(folder, 'elsewhere');
  const given = { PORT: port, HOST: '0.0.0.0', DATA_DIR: dataDir, JOBFLEET_KEY: key, QUEUE_URL: `embedded:${store}` };
  const server = await start('up', { ...given, QUEUES: 'email-sending' });

  // HOST: 127.0.0.2 is answered by who listens on every address. The login is there without DASHBOARD_USERS.
  const other = `http://127.0.0.2:${port}`;
  expect((await fetch(`${other}/board/api/queues`)).status).toBe(401);
  expect((await fetch(`${other}/board/api/queues`, { headers: login(server) })).status).toBe(200);

  // JOBFLEET_KEY: in the printed curl, in fetch, and for the commands of this machine and of others.
  const curl = /^\s*(curl -sX POST .*)$/m.exec(server.text())?.[1] ?? '';
  expect(curl).toContain(`:${port}/`);
  const { stdout } = await run('bash', ['-c', curl], { env: env({}) });
  const { id } = JSON.parse(stdout) as { id: string };
  expect((await fetch(`${other}/v1/jobs/${id}`, { headers: { authorization: bearer(key) } })).status).toBe(200);
  expect((await fetch(`${other}/v1/jobs/${id}`, { headers: { authorization: bearer(`${key}x`) } })).status).toBe(401);
  expect(await jobfleet({ DATA_DIR: dataDir }, 'jobs', 'watch', id)).toMatchObject({ status: 'completed' });
  expect(await jobfleet({ JOBFLEET_URL: other, JOBFLEET_KEY: key }, 'jobs', 'show', id)).toMatchObject({ id });

  // DATA_DIR and QUEUE_URL: everything there, nothing anywhere else.
  expect(await readdir(store)).toContain('PG_VERSION');
  expect((await readdir(dataDir)).toSorted()).not.toContain('queue');
  expect(JSON.parse(await readFile(join(dataDir, 'client.json'), 'utf8'))).toMatchObject({ key });
  expect((await readdir(folder)).toSorted()).toEqual(['elsewhere', 'my data']);

  const second = openTerminal(process.execPath, [program, 'up'], {
    cwd: folder,
    env: env({ ...given, HOST: '127.0.0.1' }),
  });
  terminals.push(second);
  await expect(second.until(/is ready/)).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken; set PORT to a free one`);
  expect(await server.interrupt()).toBe(0);
});

test('a link that a worker in a second terminal signs opens at the server', async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  await writeFile(
    join(folder, '.env'),
    'DATA_DIR=data\nPUBLIC_URL=https://jobs.example.com\nQUEUES=email-sending\nPORT=1\n',
  );
  const server = await start('up', { PORT: String(port) });
  await start('worker', { PORT: '0' }, '--queues', 'data-export');
  const payload = {
    collection: 'matches',
    columns: [{ field: '_id' }],
    format: 'csv',
    notify: { email: 'ada@example.com' },
  };
  const done = await jobfleet({}, 'enqueue', 'data-export', '--payload', JSON.stringify(payload), '--wait');
  expect(done).toMatchObject({ status: 'completed' });
  await server.until(/"queue":"email-sending".*"outcome":"done"/);
  const headers = login(server);
  const { messages } = (await (await fetch(`${url}/dev/inbox/api/messages`, { headers })).json()) as {
    messages: { id: string }[];
  };
  const mail = await (await fetch(`${url}/dev/inbox/api/messages/${messages[0]?.id}`, { headers })).text();
  // What ends TLS in front passes paths through.
  const path = /https:\/\/jobs\.example\.com(\/v1\/objects\/[\w./-]+)/.exec(mail)?.[1] ?? '/no-link';
  const file = await fetch(url + path);
  expect([file.status, await file.text()]).toEqual([200, expect.stringContaining('_id')]);
});

test('a command reads .env in its folder; the environment wins, and a mistake is a sentence', async () => {
  const said = async (variables: Record<string, string>): Promise<string> =>
    run(process.execPath, [program, 'jobs', 'list'], { cwd: folder, env: env(variables) }).then(
      () => 'it went well',
      (error: { readonly code: number; readonly stderr: string }) => `${error.code} ${error.stderr}`,
    );
  expect(await said({})).toMatch(/^2 No server is known here: /);
  await writeFile(join(folder, '.env'), `JOBFLEET_URL=http://127.0.0.1:2\nJOBFLEET_KEY="${'k'.repeat(32)}"\n`);
  expect(await said({})).toMatch(/^1 http:\/\/127\.0\.0\.1:2 does not answer/);
  expect(await said({ JOBFLEET_URL: 'http://127.0.0.1:3' })).toMatch(/^1 http:\/\/127\.0\.0\.1:3 does not answer/);
  expect(await said({ JOBFLEET_URL: 'localhost:3000' })).toMatch(
    /^2 .*\n {2}JOBFLEET_URL: expected http:\/\/ or https:\/\//,
  );
  await rm(join(folder, '.env'));
  await mkdir(join(folder, '.env'));
  expect(await said({})).toMatch(/^2 \.env cannot be read: /);
});
