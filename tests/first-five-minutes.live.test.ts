/**
 * The first five minutes of somebody new, in a fresh clone, with the commands as the README and the banner print them.
 * Time limits have slack for a busy machine; nothing here reaches beyond this machine.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clone, freshClone } from './support/clone.ts';
import { crowding } from './support/crowding.ts';
import { openSmtpSink } from './support/smtp-sink.ts';
import { openTerminal, type Terminal } from './support/terminal.ts';

const run = promisify(execFile);
/** Others who want the processors too make everything here take so much longer. */
const slack = crowding();
const readyLimitMs = 9_000 * slack; // 3 s, with slack × 3
const hangLimitMs = 60_000 * slack;

interface Job {
  readonly id: string;
  readonly status: string;
  readonly attempt: number;
  readonly error?: { readonly code: string } | null;
}

let clone: Clone;
let home: string;
/** The job of 1:00. */
let mailed: string;
let server: Terminal;
let local: { url: string; key: string };
const env = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], HOME: home, LANG: 'C.UTF-8', TMPDIR: home });

async function start(variables: Record<string, string> = {}): Promise<number> {
  const begin = performance.now();
  server = openTerminal('script/server', [], { cwd: clone.dir, env: { ...env(), ...variables } });
  await server.until(/is ready/, { timeoutMs: hangLimitMs });
  const took = performance.now() - begin;
  local = JSON.parse(await readFile(join(clone.dir, '.jobfleet/client.json'), 'utf8')) as typeof local;
  return took;
}

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(new URL(path, local.url), {
    method,
    headers: {
      authorization: `Bearer ${local.key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function job(id: string): Promise<Job> {
  const response = await ask('GET', `/v1/jobs/${id}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Job;
}

async function ended(id: string, status: string): Promise<Job> {
  return expect
    .poll(() => job(id), { timeout: hangLimitMs / 2, interval: 50 })
    .toMatchObject({ status })
    .then(() => job(id));
}

async function jobfleet(...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, ['cli/jobfleet.js', ...args], { cwd: clone.dir, env: env() });
  return stdout;
}

/** The board's login as the banner prints it, for pages behind it. */
function login(): Record<string, string> {
  const password = /admin \/ ([^\s)]+)/.exec(server.text())?.[1] ?? '';
  return { authorization: `Basic ${Buffer.from(`admin:${password}`).toString('base64')}` };
}

/** What the board's own pages ask for. */
async function board(path: string): Promise<Board> {
  const response = await fetch(new URL(`/board/api/queues${path}`, local.url), { headers: login() });
  expect(response.status).toBe(200);
  return (await response.json()) as Board;
}

interface Board {
  readonly queues: readonly { readonly name: string; readonly counts: Readonly<Record<string, number>> }[];
  readonly job: { readonly id: string; readonly progress: unknown; readonly failedReason?: string };
  readonly status: string;
}

/** The default port is somebody's, as on many a machine. It does not matter whose. */
async function takeDefaultPort(): Promise<() => void> {
  const taken = createServer();
  const listening = once(taken, 'listening');
  taken.listen(3_000, '127.0.0.1');
  await listening.catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
  });
  return () => void taken.close();
}

async function inbox(): Promise<{ readonly subject: string }[]> {
  const response = await fetch(new URL('/dev/inbox/api/messages', local.url), { headers: login() });
  expect(response.status).toBe(200);
  return ((await response.json()) as { messages: { subject: string }[] }).messages;
}

async function refuseMail(on: boolean): Promise<void> {
  const response = await fetch(new URL('/dev/inbox/refuse', local.url), {
    method: 'POST',
    redirect: 'manual',
    headers: { ...login(), origin: local.url, 'content-type': 'application/x-www-form-urlencoded' },
    body: `on=${on}`,
  });
  expect(response.status).toBe(303);
}

const mail = { type: 'email-sending', payload: { to: 'ada@example.com', template: 'welcome' } };

beforeAll(async () => {
  clone = await freshClone();
  home = await mkdtemp(join(tmpdir(), 'jobfleet-home-'));
});
afterAll(async () => {
  await server?.kill();
  await clone?.remove();
  await rm(home, { recursive: true, force: true });
});

describe('the first five minutes', { timeout: 2 * hangLimitMs }, () => {
  it('0:00 script/server is ready quickly and says everything one needs', async () => {
    await start(); // compiles the clone first
    expect(await server.interrupt()).toBe(0);
    const free = await takeDefaultPort();
    const took = await start();
    free();
    expect(took).toBeLessThan(readyLimitMs);
    const text = server.text();
    expect(text).toContain(`Port 3000 is taken: using ${new URL(local.url).port}.`);
    for (const part of [
      `${local.url}/v1`,
      `${local.url}/docs`,
      `${local.url}/board`,
      `${local.url}/dev/inbox`,
      local.key,
      '.jobfleet',
      'QUEUE_URL=redis://',
      'curl -sX POST',
    ]) {
      expect(text).toContain(part);
    }
  });

  it('1:00 the printed curl is accepted and the worker runs it', async () => {
    const command = /^\s*(curl -sX POST[\s\S]*?\}')\s*$/m.exec(server.text())?.[1] ?? '';
    const { stdout } = await run('bash', ['-c', command], { cwd: clone.dir, env: env() });
    const accepted = JSON.parse(stdout) as { id: string; type: string; status: string };
    expect(accepted).toMatchObject({ type: 'email-sending' });
    await ended(accepted.id, 'completed');
    const [line] = await server.until(new RegExp(`^.*${accepted.id}.*"attempt ended".*$`, 'm'));
    expect(JSON.parse(line)).toMatchObject({
      queue: 'email-sending',
      jobId: accepted.id,
      outcome: 'done',
      durationMs: expect.any(Number),
    });
    mailed = accepted.id;
    const alias = await ask('POST', '/v1/jobs', {
      ...mail,
      type: 'email_sending',
      payload: { ...mail.payload, to: 'bob@example.com' },
    });
    expect(alias.status).toBe(202);
    expect(alias.headers.get('location')).toMatch(/^\/v1\/jobs\//);
    await ended(((await alias.json()) as Job).id, 'completed');
  });

  it('1:20 the board wants a login and shows ten queues, the job and what it said; the inbox shows the mails', async () => {
    expect((await fetch(new URL('/board/api/queues', local.url))).status).toBe(401);
    const { queues } = await board('');
    expect(queues.length).toBe(10);
    expect(queues.find(({ name }) => name === 'email-sending')?.counts).toMatchObject({ completed: 2, failed: 0 });
    expect(await board(`/email-sending/${mailed}`)).toMatchObject({
      status: 'completed',
      job: { id: mailed, progress: { percent: 100 } },
    });
    const lines = JSON.stringify(await board(`/email-sending/${mailed}/logs`));
    for (const line of ['mail written', 'mail accepted by the server']) expect(lines).toContain(line);
    expect((await inbox()).length).toBe(2);
  });

  it('1:50 a bad payload names its field; an idempotency key names one job', async () => {
    const bad = await ask('POST', '/v1/jobs', { type: 'email-sending', payload: { to: 'nope', template: 'welcome' } });
    expect(bad.status).toBe(400);
    expect(bad.headers.get('content-type')).toContain('application/problem+json');
    expect(await bad.json()).toMatchObject({ code: 'INVALID', errors: [{ path: 'payload.to' }] });
    const keyed = { 'idempotency-key': 'first-five' };
    const first = await ask(
      'POST',
      '/v1/jobs',
      { ...mail, payload: { ...mail.payload, to: 'eve@example.com' } },
      keyed,
    );
    const second = await ask(
      'POST',
      '/v1/jobs',
      { ...mail, payload: { ...mail.payload, to: 'eve@example.com' } },
      keyed,
    );
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    const { id } = (await first.json()) as Job;
    expect(((await second.json()) as Job).id).toBe(id);
    await ended(id, 'completed');
  });

  it('2:20 refused mail becomes a dead letter after four attempts, and a redrive sends it once', async () => {
    const before = (await inbox()).length;
    await refuseMail(true);
    const { id } = (await (
      await ask('POST', '/v1/jobs', { ...mail, payload: { ...mail.payload, to: 'late@example.com' } })
    ).json()) as Job;
    expect(await ended(id, 'failed')).toMatchObject({ attempt: 4, error: { code: 'SMTP_451' } });
    const { stdout: groups } = await run('npx', ['jobfleet', 'dead-letters', 'list'], { cwd: clone.dir, env: env() });
    expect(groups).toMatch(/1\s+email-sending.*SMTP_451/);
    const red = (await board('')).queues.find(({ name }) => name === 'email-sending');
    expect(red?.counts).toMatchObject({ failed: 1 });
    const shown = await board(`/email-sending/${id}`);
    expect(shown).toMatchObject({ status: 'failed', job: { failedReason: expect.stringContaining('SMTP_451') } });
    await refuseMail(false);
    expect(await jobfleet('dead-letters', 'redrive', 'email-sending', '--yes')).toContain('1 of 1 redriven');
    await ended(id, 'completed');
    expect((await inbox()).length).toBe(before + 1);
  });

  it('3:00 the CLI uploads an image, follows it, and its links work', async () => {
    const sharp = (await import('sharp')).default;
    await writeFile(
      join(clone.dir, 'sample.jpg'),
      await sharp({ create: { width: 800, height: 500, channels: 3, background: '#3a7' } })
        .jpeg()
        .toBuffer(),
    );
    const { stdout } = await run(
      'npx',
      ['jobfleet', 'enqueue', 'image-processing', '--file', 'sample.jpg', '--wait', '--json'],
      { cwd: clone.dir, env: env() },
    );
    const done = JSON.parse(stdout) as {
      status: string;
      result: { thumbhash: string };
      files: { url: string; contentType: string; sizeBytes: number }[];
    };
    expect(done.status).toBe('completed');
    expect(done.result.thumbhash.length).toBeGreaterThan(8);
    for (const file of done.files) {
      const { stdout: bytes } = await run('curl', ['-sf', file.url], { encoding: 'buffer', maxBuffer: 1 << 24 });
      expect(bytes.length).toBe(file.sizeBytes);
    }
  });

  it('3:30 a second terminal joins the embedded store', async () => {
    const worker = openTerminal(process.execPath, ['cli/jobfleet.js', 'worker', '--queues', 'email-sending'], {
      cwd: clone.dir,
      env: { ...env(), PORT: '0', SMTP_URL: 'smtp://127.0.0.1:1' },
    });
    await worker.until(/ready/i, { timeoutMs: hangLimitMs });
    const maps = await readFile(`/proc/${worker.child.pid}/maps`, 'utf8');
    expect(maps, 'a worker for mail maps no media library').not.toMatch(/sharp|vips/);
    expect(await worker.interrupt()).toBe(0);
  });

  it('3:45 Ctrl-C during a job finishes it and loses nothing', async () => {
    expect(await server.interrupt()).toBe(0);
    const sink = await openSmtpSink();
    await start({ SMTP_URL: sink.url });
    const add = async (to: string, options: object): Promise<string> => {
      const answer = await ask('POST', '/v1/jobs', { ...mail, payload: { ...mail.payload, to }, options });
      return ((await answer.json()) as Job).id;
    };
    const later = await add('later@example.com', { delayMs: 3_600_000 });
    // The mail server has the whole mail and does not answer yet: the job is in the middle.
    const held = sink.holdNext();
    const running = await add('running@example.com', {});
    const { accept } = await held;
    const exit = server.interrupt();
    await server.until(/finishing 1 job \(max 25 s\)/);
    accept();
    expect(await exit).toBe(0);
    await start();
    expect(await job(running)).toMatchObject({ id: running, status: 'completed', attempt: 1 });
    expect(await job(later)).toMatchObject({ id: later, status: 'delayed' });
    expect(sink.mails.map(({ to }) => to)).toEqual([['running@example.com']]);
    await sink.close();
  });

  it('4:40 a copied folder becomes a job type without another edit', async () => {
    await cp(join(clone.dir, 'jobs/email-sending'), join(clone.dir, 'jobs/hello'), { recursive: true });
    const file = join(clone.dir, 'jobs/hello/job.ts');
    const source = await readFile(file, 'utf8');
    const from = server.text().length;
    await writeFile(file, source.replace("name: 'email-sending'", "name: 'hello'").replace(/^\s*aliases: .*\n/m, ''));
    await server.until(/is ready/, { timeoutMs: hangLimitMs, from });
    const openapi = await (await fetch(new URL('/openapi.json', local.url))).text();
    expect(openapi).toContain('"hello"');
    expect((await fetch(new URL('/docs/', local.url))).status).toBe(200);
    expect(await jobfleet('enqueue', 'hello', '--payload', JSON.stringify(mail.payload), '--wait')).toContain(
      'completed',
    );
    expect((await board('')).queues.map(({ name }) => name)).toContain('hello');
    const form = JSON.stringify(await board('/hello/job-data-schema'));
    expect(form, 'the Add-job form').toContain('"template":{"type":"string","const":"welcome"}');
    expect(await server.interrupt()).toBe(0);
  });
});
