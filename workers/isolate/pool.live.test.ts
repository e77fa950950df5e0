/** What the pool does when children or workers die at the wrong moment. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { defaultPolicy, type Policy } from '../../jobs/policy.ts';
import { processesOf, recordServices } from '../../tests/support/children.ts';
import { compiled } from '../../tests/support/compiled.ts';
import type { Level } from './limits.ts';
import type * as Pools from './pool.ts';
import type { Pool, PoolType } from './pool.ts';

// Its children start without a compiler, as in production.
const { openPool } = (await import(compiled('workers/isolate/pool.ts').href)) as typeof Pools;

const policy: Policy = { ...defaultPolicy, isolation: 'child' };
const facts = { id: 'trouble_1', tenant: '-', attempt: 1, maxAttempts: 4, fence: 1 };
const typeOf = (name: string, spares: number): PoolType => ({
  name,
  handlerUrl: compiled(`tests/support/jobs/${name}/handler.ts`).href,
  policy,
  env: {},
  spares,
});

let base: string;
let pools: Pool[];
const warnings: string[] = [];

async function open(types: readonly PoolType[], atMost: Level = 'limits'): Promise<Pool> {
  const log = { warn: (_facts: object, message: string) => void warnings.push(message), error: () => undefined };
  const pool = await openPool({ types, log, environment: process.env, base, atMost });
  pools.push(pool);
  return pool;
}

beforeEach(async () => {
  pools = [];
  warnings.length = 0;
  base = await mkdtemp(join(tmpdir(), 'jobfleet-pool-'));
  await chmod(base, 0o711);
});
afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.close()));
  expect(await readdir(base)).toEqual([]);
  await rm(base, { recursive: true });
});

it('makes a type unavailable after three deaths without one ready, and says why', async () => {
  const pool = await open([typeOf('stillborn', 1), typeOf('trouble', 1)]);
  const signal = new AbortController().signal;
  const waiting = pool.run('stillborn', {}, recordServices().services, { facts, signal, policy });
  await expect(waiting).rejects.toMatchObject({ code: 'SANDBOX_CRASH', verdict: { kind: 'later' } });
  expect(pool.unavailable('stillborn')).toContain('the library of this handler is not installed');
  expect(pool.unavailable('trouble')).toBeUndefined();
  await expect(
    pool.run('trouble', { how: 'work' }, recordServices().services, { facts, signal, policy }),
  ).resolves.toEqual({ bytes: 67_136 });
});

it('refuses a type that it was opened without', async () => {
  const pool = await open([]);
  const signal = new AbortController().signal;
  await expect(pool.run('absent', {}, recordServices().services, { facts, signal, policy })).rejects.toThrow(
    '"absent"',
  );
});

it('lets a job that waits for a child go when it is aborted', async () => {
  const pool = await open([typeOf('trouble', 0)]);
  const abort = new AbortController();
  const waiting = pool.run('trouble', { how: 'work' }, recordServices().services, {
    facts,
    signal: abort.signal,
    policy,
  });
  abort.abort(new Error('not wanted any more'));
  await expect(waiting).rejects.toThrow('not wanted any more');
});

const childFolders = async (): Promise<number> => (await readdir(base)).filter((name) => /^job-\w+$/.test(name)).length;

it('keeps one spare of a type without jobs, none before it is told to, and all from the first job on', async () => {
  const pool = await open([typeOf('trouble', 2)]);
  expect(await childFolders()).toBe(0);
  await pool.prepare();
  expect(await childFolders()).toBe(1);
  const signal = new AbortController().signal;
  await pool.run('trouble', { how: 'work' }, recordServices().services, { facts, signal, policy });
  await vi.waitFor(async () => expect(await childFolders()).toBe(2), 20_000);
});

it('replaces a spare that died', async () => {
  const pool = await open([typeOf('trouble', 1)]);
  const signal = new AbortController().signal;
  const first = recordServices();
  await pool.run('trouble', { how: 'work' }, first.services, { facts, signal, policy });
  const spare = await vi.waitFor(async () => {
    const names = (await readdir(base)).filter((name) => /^job-\w+$/.test(name));
    const [pid] = names.flatMap((name) => processesOf(join(base, name)));
    if (pid === undefined) throw new Error('no spare yet');
    return pid;
  }, 10_000);
  process.kill(spare, 'SIGKILL');
  await vi.waitFor(() => expect(warnings).toContain('A child died before its job'), 10_000);
  await expect(
    pool.run('trouble', { how: 'work' }, recordServices().services, { facts, signal, policy }),
  ).resolves.toEqual({ bytes: 67_136 });
});

it('kills what runs when it is closed', async () => {
  const pool = await open([typeOf('trouble', 1)]);
  const recorded = recordServices();
  const signal = new AbortController().signal;
  const running = pool.run('trouble', { how: 'program-that-stays' }, recorded.services, { facts, signal, policy });
  await recorded.progressed;
  const [ended] = await Promise.allSettled([running, pool.close()]);
  expect(ended).toMatchObject({ status: 'rejected', reason: { code: 'SHUTDOWN' } });
  expect(processesOf(recorded.folder())).toEqual([]);
});

it.each([
  ['limits', 'program-that-stays'],
  ['limits', 'program-and-spin'],
  ['namespaces', 'program-and-spin'],
])('leaves nothing running when its worker is killed (%s, %s)', async (level, how) => {
  const script = fileURLToPath(compiled('tests/support/worker-with-children.ts'));
  const worker = spawn(process.execPath, [script, base, level, how], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line]: unknown[] = await once(worker.stdout.setEncoding('utf8'), 'data');
  const folder = String(line).trim();
  // The child says that it works a moment before its program shows.
  await vi.waitFor(() => expect(processesOf(folder).length).toBeGreaterThan(1), { timeout: 10_000, interval: 20 });
  const exited = once(worker, 'exit');
  worker.kill('SIGKILL');
  await exited;
  await vi.waitFor(() => expect(processesOf(folder)).toEqual([]), { timeout: 5_000, interval: 20 });
  expect(existsSync(folder)).toBe(true);
  await open([]);
  expect(warnings).toContain('Removed folders that killed workers left behind');
  expect(existsSync(folder)).toBe(false);
});
