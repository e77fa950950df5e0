/**
 * F17: what untrusted work does to its process, and what is left of it. Real processes, at each level this machine has.
 * Long because each bomb is a case over one pool.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Errors from '../../jobs/errors.ts';
import { type ChildLimits, defaultPolicy, type Policy } from '../../jobs/policy.ts';
import { processesOf, type Recorded, recordServices, signalAll } from '../../tests/support/children.ts';
import { compiled } from '../../tests/support/compiled.ts';
import { crowding } from '../../tests/support/crowding.ts';
import type * as Running from '../running.ts';
import type { Level } from './limits.ts';
import type * as Pools from './pool.ts';
import type { Pool, PoolType } from './pool.ts';

// The pool and what it is compared with are one compilation: its children start without a compiler, as in production.
const { openPool } = (await import(compiled('workers/isolate/pool.ts').href)) as typeof Pools;
const { AbortedError } = (await import(compiled('workers/running.ts').href)) as typeof Running;
const { giveUp, JobError, nothingHappened, retry } = (await import(compiled('jobs/errors.ts').href)) as typeof Errors;
const handlerUrl = compiled('tests/support/jobs/trouble/handler.ts').href;
const log = { warn: () => undefined, error: () => undefined };
const facts = { id: 'trouble_1', tenant: '-', attempt: 1, maxAttempts: 4, fence: 7 };

function typeOf(name: string, child: Partial<ChildLimits>, own: Partial<Policy> = {}, spares = 1): PoolType {
  const limits: ChildLimits = { memoryMb: 256, diskMb: 64, cpuSeconds: 30, processes: 12, quietMs: 0, ...child };
  const policy: Policy = {
    ...defaultPolicy,
    timeoutMs: 30_000,
    graceMs: 500,
    ...own,
    isolation: 'child',
    child: limits,
  };
  return { name, handlerUrl, policy, env: { TROUBLE: 'declared' }, spares };
}

const types: readonly PoolType[] = [
  typeOf('innocent', {}, {}, 2),
  typeOf('trouble', {}, {}, 2),
  typeOf('brief', {}, { timeoutMs: 1_000 }),
  typeOf('quiet', { quietMs: 1_500 }),
  typeOf('frugal', { cpuSeconds: 2 }),
  typeOf('roomy', { memoryMb: 4_096, processes: 10 }, {}, 0),
  typeOf('patient', {}, { graceMs: 30_000 }, 0),
];

interface Outcome {
  readonly result?: unknown;
  readonly error?: unknown;
  readonly tookMs: number;
}

/** Runs one job beside an innocent one; afterwards neither a process nor a folder may be left, and the loop was free. */
async function attempt(
  pool: Pool,
  name: string,
  payload: unknown,
  options: { readonly recorded?: Recorded; readonly signal?: AbortSignal } = {},
): Promise<Outcome> {
  const recorded = options.recorded ?? recordServices();
  const beside = recordServices();
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const [own, innocent] = await Promise.allSettled([
    runOne(pool, name, payload, recorded, options.signal),
    runOne(pool, 'innocent', { how: 'work' }, beside),
  ]);
  const tookMs = performance.now() - recorded.startedAt();
  delay.disable();
  expect(innocent).toEqual({ status: 'fulfilled', value: { bytes: 67_136 } });
  for (const folder of [recorded.folder(), beside.folder()]) {
    expect(processesOf(folder)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
    expect(existsSync(`${folder}.owner`)).toBe(false);
  }
  expect(delay.percentile(99) / 1e6).toBeLessThan(200 * crowding());
  return own.status === 'fulfilled' ? { result: own.value, tookMs } : { error: own.reason, tookMs };
}

function runOne(
  pool: Pool,
  name: string,
  payload: unknown,
  recorded: Recorded,
  signal = new AbortController().signal,
): Promise<unknown> {
  const policy = types.find((type) => type.name === name)?.policy ?? defaultPolicy;
  return pool.run(name, payload, recorded.services, { facts, signal, policy });
}

/** Resolves with the first progress message; rejects when the job ends without one. */
async function startOf(recorded: Recorded, running: Promise<unknown>): Promise<void> {
  const early = running.then((outcome) => Promise.reject(new Error(`ended early: ${JSON.stringify(outcome)}`)));
  await Promise.race([recorded.progressed, early]);
}

function jobError(outcome: Outcome): Errors.JobError {
  if (!(outcome.error instanceof JobError)) throw new Error(`expected a JobError, got ${JSON.stringify(outcome)}`);
  return outcome.error;
}

const hasBwrap = (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, 'bwrap')));
const offered: readonly Level[] = ['limits', 'namespaces', ...(hasBwrap ? (['bwrap'] as const) : [])];
const levels: readonly Level[] = process.platform === 'linux' ? offered : [];

describe.each(levels)('a child at level %s', (level) => {
  let pool: Pool;
  let base: string;
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'jobfleet-isolate-'));
    // Children under ids of their own must pass through.
    await chmod(base, 0o711);
    pool = await openPool({ types, log, environment: process.env, base: join(base, 'children'), atMost: level });
  });
  afterAll(async () => {
    await pool.close();
    await rm(base, { recursive: true });
  });

  it('is the level asked for', () => {
    expect({ level: pool.level, refused: pool.refused }).toEqual({ level, refused: [] });
    expect(pool.hasOwnUser).toBe(process.getuid?.() === 0);
  });

  it('answers with the result, and knows nothing of the worker', async () => {
    const recorded = recordServices();
    const { result } = await attempt(pool, 'trouble', { how: 'facts' }, { recorded });
    const variables =
      'HOME JOBFLEET_CHILD LANG OMP_THREAD_LIMIT PATH TMPDIR TZ UV_THREADPOOL_SIZE VIPS_BLOCK_UNTRUSTED';
    expect(result).toMatchObject({
      id: 'trouble_1',
      tenant: '-',
      attempt: 1,
      fence: 7,
      files: [],
      folder: recorded.folder(),
      cwd: recorded.folder(),
      variables: [...variables.split(' '), ...(level === 'bwrap' ? ['PWD'] : [])].toSorted(),
    });
  });

  it('runs exactly one job', async () => {
    const first = recordServices();
    const second = recordServices();
    await attempt(pool, 'trouble', { how: 'work' }, { recorded: first });
    await attempt(pool, 'trouble', { how: 'work' }, { recorded: second });
    expect(second.folder()).not.toBe(first.folder());
  });

  it('reaches logs, progress, once, enqueue and objects through the worker', async () => {
    const recorded = recordServices({
      objectFetch: async () => {
        const path = join(recorded.folder(), 'input-1');
        await writeFile(path, 'hello', { mode: 0o600 });
        return { path, sizeBytes: 5, sha256: 'x' };
      },
    });
    const { result } = await attempt(pool, 'trouble', { how: 'services', text: 'hi' }, { recorded });
    expect(result).toEqual({
      first: { sent: 'hi' },
      stored: { object: 'object:out.txt', sizeBytes: 1 },
      head: 'absent',
      next: 'trouble_1',
      children: [
        { id: 'x_1', type: 'x', state: 'completed', result: { n: 1 } },
        { id: 'x_2', type: 'x', state: 'failed', code: 'BAD_SOURCE' },
      ],
    });
    expect(recorded.heard).toEqual([
      ['log', 'info', 'started', { text: 'hi' }],
      ['progress', 50, 'half'],
      ['onceBegin', 'mail', 'repeat'],
      ['onceEnd', 'mail', { sent: 'hi' }],
      ['objectPut', 'out.txt', 'HELLO', 'text/plain'],
      ['objectHead', 'absent'],
      ['enqueue', 'trouble', { how: 'work' }, { key: 'next' }],
    ]);
  });

  it.each([
    ['in the line', 1_000],
    ['as a file', 3_000_000],
  ])('asks others through the worker, under the breaker of the dependency: a body %s', async (_name, count) => {
    const recorded = recordServices();
    const ended = await attempt(pool, 'trouble', { how: 'ask', text: 'é', count }, { recorded });
    expect(ended).toMatchObject({ result: { status: 200, length: 2 * count, retryAfterMs: 7, files: [] } });
    expect(recorded.heard).toEqual([
      ['dependencyBegin', 'model'],
      ['http', expect.objectContaining({ url: 'https://example.com/', method: 'POST', headers: { 'x-a': 'b' } })],
      ['dependencyEnd', 1, 'ok'],
    ]);
  });

  it('forgets an effect of which the worker says that it has certainly not happened', async () => {
    const recorded = recordServices({
      http: async () => {
        throw nothingHappened(retry('NETWORK', 'nobody listens'));
      },
    });
    const error = jobError(await attempt(pool, 'trouble', { how: 'certainly-not' }, { recorded }));
    expect(error).toMatchObject({ code: 'NETWORK', effect: 'none' });
    expect(recorded.heard).toEqual([
      ['onceBegin', 'sms', 'skip'],
      ['onceForget', 'sms'],
    ]);
  });

  it('passes the verdict of a refused call through the handler', async () => {
    const recorded = recordServices({
      objectFetch: async () => {
        throw giveUp('FORBIDDEN_TARGET', '127.0.0.1 is not a public address');
      },
    });
    const error = jobError(await attempt(pool, 'trouble', { how: 'refused-call' }, { recorded }));
    expect(error).toMatchObject({ code: 'FORBIDDEN_TARGET', verdict: { kind: 'dead' } });
  });

  it('hears nothing of what failed inside the worker, which keeps it as the cause', async () => {
    const recorded = recordServices({
      objectFetch: async () => {
        throw new Error('connect ECONNREFUSED 10.0.0.7:9000');
      },
    });
    const error = jobError(await attempt(pool, 'trouble', { how: 'refused-call' }, { recorded }));
    expect(error).toMatchObject({ code: 'UNEXPECTED', verdict: { kind: 'retry' } });
    expect(error.message).not.toContain('10.0.0.7');
    expect(error.cause).toMatchObject({ message: 'connect ECONNREFUSED 10.0.0.7:9000' });
  });

  it('may have many calls, 32 of them open at a time', async () => {
    let openCalls = 0;
    let most = 0;
    const recorded = recordServices({
      objectHead: async () => {
        openCalls += 1;
        most = Math.max(most, openCalls);
        await new Promise((resolve) => setImmediate(resolve));
        openCalls -= 1;
        return undefined;
      },
    });
    const { result } = await attempt(pool, 'trouble', { how: 'many-calls', count: 2_000 }, { recorded });
    expect(result).toEqual({ count: 2_000 });
    expect(most).toBeLessThanOrEqual(32);
  });

  it('gives up with a code and a cause of its own', async () => {
    const error = jobError(await attempt(pool, 'trouble', { how: 'give-up' }));
    expect(error).toMatchObject({ code: 'BAD_SOURCE', message: 'not a picture', verdict: { kind: 'dead' } });
    expect(error.cause).toMatchObject({ message: 'first bytes are 00 00' });
  });

  it('cannot wait longer than its job may live', async () => {
    const error = jobError(await attempt(pool, 'trouble', { how: 'much-later' }));
    expect(error.verdict).toEqual({ kind: 'later', delayMs: defaultPolicy.maxAgeMs });
  });

  it.each(['SANDBOX_OOM', 'CANCELLED', 'EXPIRED', 'TIMED_OUT', 'lower case'])('may not say %s', async (text) => {
    const error = jobError(await attempt(pool, 'trouble', { how: 'pretend', text }));
    expect(error).toMatchObject({ code: 'UNEXPECTED', verdict: { kind: 'retry', notBeforeMs: 0 } });
  });

  it.each([
    ['a heap bomb', 'trouble', 'heap-bomb', 'SANDBOX_OOM'],
    ['a Buffer bomb', 'trouble', 'buffer-bomb', 'SANDBOX_OOM'],
    ['grandchildren that eat memory', 'trouble', 'grandchild-bomb', 'SANDBOX_OOM'],
    ['a fork bomb', 'roomy', 'fork-bomb', 'SANDBOX_CRASH'],
    ['abort()', 'trouble', 'abort', 'SANDBOX_CRASH'],
    ['exit(0)', 'trouble', 'exit-0', 'SANDBOX_CRASH'],
    ['a result of 30 MB', 'trouble', 'large-result', 'RESULT_INVALID'],
    ['a circular result', 'trouble', 'circular', 'RESULT_INVALID'],
    ['a message without end', 'trouble', 'endless-message', 'SANDBOX_CRASH'],
    ['messages without end', 'trouble', 'endless-messages', 'SANDBOX_CRASH'],
    ['a line that is no JSON', 'trouble', 'no-json', 'SANDBOX_CRASH'],
    ['a flood on stdout', 'trouble', 'stdout-flood', 'SANDBOX_CRASH'],
    ['stderr without end', 'trouble', 'stderr-endless', 'SANDBOX_CRASH'],
    ['a folder over its limit', 'trouble', 'fill-disk', 'LIMIT_EXCEEDED'],
    ['a file over its limit', 'trouble', 'large-file', 'LIMIT_EXCEEDED'],
    ['more files than anybody needs', 'trouble', 'many-files', 'LIMIT_EXCEEDED'],
    ['a CPU limit', 'frugal', 'cpu-limit', 'SANDBOX_TIMEOUT'],
  ])('ends on %s', async (_title, name, how, code) => {
    expect(jobError(await attempt(pool, name, { how })).code).toBe(code);
  });

  it('is killed at its time limit, spinning or not, within two seconds', async () => {
    for (const how of ['spin', 'ignore-the-signal', 'late-answer']) {
      const outcome = await attempt(pool, 'brief', { how });
      expect(jobError(outcome)).toMatchObject({ code: 'SANDBOX_TIMEOUT' });
      expect(outcome.tookMs).toBeGreaterThan(990);
      expect(outcome.tookMs).toBeLessThan(1_000 + 2_000 * crowding());
    }
  });

  it('counts a SIGKILL of whoever sent it as a crash', async () => {
    const recorded = recordServices();
    const running = attempt(pool, 'trouble', { how: 'say-pid' }, { recorded });
    await startOf(recorded, running);
    signalAll(processesOf(recorded.folder()).toReversed());
    const error = jobError(await running);
    expect(error).toMatchObject({ code: 'SANDBOX_CRASH' });
    expect(error.message).toContain('out of memory?');
  });

  it('is killed for silence after a SIGSTOP', async () => {
    const recorded = recordServices();
    const running = attempt(pool, 'quiet', { how: 'say-pid' }, { recorded });
    await startOf(recorded, running);
    signalAll(processesOf(recorded.folder()), 'SIGSTOP');
    const outcome = await running;
    expect(jobError(outcome).code).toBe('SANDBOX_TIMEOUT');
    expect(outcome.tookMs).toBeLessThan(4_000 * crowding());
  });

  it('is dead with its first answer', async () => {
    expect((await attempt(pool, 'trouble', { how: 'second-answer' })).result).toBe('first');
  });

  it.each(['setsid-grandchild', 'deaf-grandchild'])('takes a %s along', async (how) => {
    expect((await attempt(pool, 'trouble', { how })).result).toEqual({ started: true });
  });

  it('leaves no folder that it has locked', async () => {
    expect((await attempt(pool, 'trouble', { how: 'locked-folder' })).result).toEqual({ done: true });
  });

  it.each(['late-answer', 'stop-when-told', 'ignore-the-signal'])(
    'that is cancelled does not answer (%s)',
    async (how) => {
      const abort = new AbortController();
      const reason = new AbortedError('CANCELLED');
      const recorded = recordServices();
      const running = attempt(pool, 'trouble', { how }, { recorded, signal: abort.signal });
      if (how !== 'late-answer') await startOf(recorded, running);
      abort.abort(reason);
      expect((await running).error).toBe(reason);
    },
  );

  it('may answer after a shutdown, within its grace', async () => {
    const abort = new AbortController();
    const recorded = recordServices();
    const running = attempt(pool, 'trouble', { how: 'stop-when-told' }, { recorded, signal: abort.signal });
    await startOf(recorded, running);
    abort.abort(new AbortedError('SHUTDOWN'));
    expect((await running).error).toBe(abort.signal.reason);
    const late = new AbortController();
    const listening = recordServices({ log: () => undefined });
    const answering = attempt(
      pool,
      'trouble',
      { how: 'answer-when-told' },
      { recorded: listening, signal: late.signal },
    );
    await startOf(listening, answering);
    late.abort(new AbortedError('SHUTDOWN'));
    expect((await answering).result).toEqual({ late: true });
  });

  it('is killed at once when its lease is lost', async () => {
    const abort = new AbortController();
    const recorded = recordServices();
    const running = attempt(pool, 'patient', { how: 'ignore-the-signal' }, { recorded, signal: abort.signal });
    await startOf(recorded, running);
    const abortedAt = performance.now();
    abort.abort(new AbortedError('LEASE_LOST'));
    expect((await running).error).toBe(abort.signal.reason);
    expect(performance.now() - abortedAt).toBeLessThan(5_000 * crowding());
  });

  it('never starts for a job that was aborted before', async () => {
    const recorded = recordServices();
    const signal = AbortSignal.abort(new AbortedError('SHUTDOWN'));
    await expect(runOne(pool, 'trouble', { how: 'work' }, recorded, signal)).rejects.toBe(signal.reason);
    expect(recorded.folder()).toBe('');
  });

  it('cannot read what belongs to the worker or another child', async () => {
    const neighbour = recordServices();
    const abort = new AbortController();
    const running = runOne(pool, 'roomy', { how: 'say-pid' }, neighbour, abort.signal);
    await startOf(neighbour, running);
    const secret = join(base, 'secret');
    await writeFile(secret, 'x', { mode: 0o600 });
    const isRoot = process.getuid?.() === 0;
    const forbidden = [`read /proc/${process.pid}/environ`, `read ${secret}`, `write ${neighbour.folder()}/planted`];
    for (const text of isRoot ? forbidden : level === 'limits' ? [] : forbidden.slice(0, 1)) {
      expect(jobError(await attempt(pool, 'trouble', { how: 'reach', text })).message).toMatch(/EACCES|EPERM|ENOENT/);
    }
    abort.abort(new AbortedError('LEASE_LOST'));
    await expect(running).rejects.toBe(abort.signal.reason);
  });

  it.each([level].filter((it) => it !== 'limits'))('has no network at level %s', async () => {
    const { createServer } = await import('node:net');
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const error = jobError(await attempt(pool, 'trouble', { how: 'reach', text: `connect ${port}` }));
    expect(error.message).toMatch(/ENETUNREACH|ECONNREFUSED|EADDRNOTAVAIL/);
    server.close();
  });

  it.each([level].filter((it) => it === 'bwrap'))('sees no file but its own and the program at level %s', async () => {
    for (const text of ['read /etc/passwd', `read ${base}/anything`, 'read /etc/hosts']) {
      expect(jobError(await attempt(pool, 'trouble', { how: 'reach', text })).message).toContain('ENOENT');
    }
  });

  it('names its folder in its marker', async () => {
    const recorded = recordServices();
    await attempt(pool, 'trouble', { how: 'work' }, { recorded });
    expect(basename(recorded.folder())).toMatch(/^job-[\da-f]{12}$/);
  });
});
