/**
 * The first five minutes of somebody new, in a fresh clone, with the commands as the README and the banner print them.
 * Time limits have slack for a busy machine; nothing here reaches beyond this machine.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clone, freshClone } from './support/clone.ts';
import { openTerminal, type Terminal } from './support/terminal.ts';

const run = promisify(execFile);
const readyLimitMs = 9_000; // 3 s, with slack × 3

interface Job {
  readonly id: string;
  readonly status: string;
  readonly attempt: number;
  readonly error?: { readonly code: string } | null;
}

let clone: Clone;
let home: string;
let server: Terminal;
let local: { url: string; key: string };
const env = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], HOME: home, LANG: 'C.UTF-8', TMPDIR: home });

async function start(): Promise<number> {
  const begin = performance.now();
  server = openTerminal('script/server', [], { cwd: clone.dir, env: env() });
  await server.until(/is ready/, { timeoutMs: 60_000 });
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
    .poll(() => job(id), { timeout: 30_000, interval: 50 })
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

describe('the first five minutes', { timeout: 120_000 }, () => {
  it('0:00 script/server is ready quickly and says everything one needs', async () => {
    await start(); // compiles the clone first
    expect(await server.interrupt()).toBe(0);
    const took = await start();
    expect(took).toBeLessThan(readyLimitMs);
    const text = server.text();
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
    await server.until(new RegExp(accepted.id));
    const alias = await ask('POST', '/v1/jobs', {
      ...mail,
      type: 'email_sending',
      payload: { ...mail.payload, to: 'bob@example.com' },
    });
    expect(alias.status).toBe(202);
    expect(alias.headers.get('location')).toMatch(/^\/v1\/jobs\//);
    await ended(((await alias.json()) as Job).id, 'completed');
  });

  it('1:20 the inbox shows the mails, and the board wants a login', async () => {
    expect((await inbox()).length).toBe(2);
    const board = await fetch(new URL('/board/api/queues', local.url));
    expect(board.status).toBe(401);
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
    await worker.until(/ready/i, { timeoutMs: 30_000 });
    const maps = await readFile(`/proc/${worker.child.pid}/maps`, 'utf8');
    expect(maps, 'a worker for mail maps no media library').not.toMatch(/sharp|vips/);
    expect(await worker.interrupt()).toBe(0);
  });

  it('3:45 Ctrl-C during a job loses nothing', async () => {
    const { id } = (await (
      await ask('POST', '/v1/jobs', {
        ...mail,
        payload: { ...mail.payload, to: 'stay@example.com' },
        options: { delayMs: 3_600_000 },
      })
    ).json()) as Job;
    expect(await server.interrupt()).toBe(0);
    await start();
    expect(await job(id)).toMatchObject({ id, status: 'delayed' });
  });

  it('4:40 a copied folder becomes a job type without another edit', async () => {
    await cp(join(clone.dir, 'jobs/email-sending'), join(clone.dir, 'jobs/hello'), { recursive: true });
    const file = join(clone.dir, 'jobs/hello/job.ts');
    const source = await readFile(file, 'utf8');
    const from = server.text().length;
    await writeFile(file, source.replace("name: 'email-sending'", "name: 'hello'").replace(/^\s*aliases: .*\n/m, ''));
    await server.until(/is ready/, { timeoutMs: 60_000, from });
    const openapi = await (await fetch(new URL('/openapi.json', local.url))).text();
    expect(openapi).toContain('"hello"');
    expect(await jobfleet('enqueue', 'hello', '--payload', JSON.stringify(mail.payload), '--wait')).toContain(
      'completed',
    );
    const board = await fetch(new URL('/board/api/queues', local.url), { headers: login() });
    expect(await board.text()).toContain('"hello"');
    expect(await server.interrupt()).toBe(0);
  });
});
