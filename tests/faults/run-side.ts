/** One side of a scenario from an empty store to the verdict: load and faults, heal, settle, drain, check. */
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Arena, openArena } from './arena.ts';
import { type Counts, check, type Finding } from './checker.ts';
import { gaps, recoveryTimes, type Spread, spread } from './figures.ts';
import { type EffectLine, type FaultLine, logPaths, type ProducerLine, readLog, type StateLine } from './logs.ts';
import { isBad, workOf } from './plan.ts';
import { startProcess } from './processes.ts';
import type { Scenario } from './scenario.ts';
import { type StoreName, startServer } from './servers.ts';
import { openSide, type Side, type SideSettings } from './side.ts';

export interface SideResult {
  readonly counts: Counts;
  readonly findings: readonly Finding[];
  readonly recoveryMs: Spread;
  readonly acceptGapMs: number;
  readonly startGapMs: number;
  /** From the end of the load to the last job's end. */
  readonly drainMs: number;
  /** False: jobs were still open when the drain had to end. */
  readonly isDrained: boolean;
  /** Workers that ended without being asked. */
  readonly crashes: number;
  /** Error lines of all workers, and the most of one worker in a second of its life, on average. */
  readonly errors: number;
  readonly errorsPerS: number;
  readonly seconds: number;
}

export interface RunOptions {
  readonly scenario: Scenario;
  readonly side: 'ours' | 'stock';
  readonly store: StoreName;
  readonly seconds: number;
  readonly seed: number;
  /** Empty; logs of every process land here. */
  readonly folder: string;
}

export async function runSide(options: RunOptions): Promise<{ readonly result: SideResult; readonly arena: Arena }> {
  const { scenario, side, store, folder, seed } = options;
  await mkdir(folder, { recursive: true });
  // Servers and children under other ids pass through it.
  await chmod(folder, 0o755);
  const server = await openServer(options);
  const sink = startProcess('sink', { folder, arguments: [folder] });
  let sinkProblem = '';
  void sink.exited.then(({ code }) => {
    sinkProblem = `the effect sink ended with ${code} in mid-run`;
  });
  const settings: SideSettings = {
    side,
    url: server.url,
    stock: server.stock,
    folder,
    sinkPort: Number(await sink.ready),
    leaseMs: scenario.leaseMs ?? 5_000,
    shutdownMs: scenario.shutdownMs ?? 10_000,
    concurrency: scenario.concurrency ?? 10,
    seed,
    load: scenario.load,
    from: 0,
  };
  const size = scenario.workers ?? 3;
  const arena = openArena({ settings, store, server, seconds: options.seconds, size });
  let view: Side | undefined;
  try {
    // One first: it makes the schema, and the embedded store.
    await arena.startWorker();
    await arena.refill();
    await arena.startProducer();
    const loadedAt = Date.now();
    await scenario.inject(arena);
    await arena.stopProducer();
    const healedAt = Date.now();
    await arena.refill();
    await arena.settle();
    view = await openSide(settings);
    const isDrained = await drain(view, scenario.drainMs ?? 180_000);
    const drainMs = Date.now() - healedAt;
    const records = await view.records();
    if (sinkProblem !== '') throw new Error(`${sinkProblem}; see ${folder}`);
    return { result: judge(settings, records, { loadedAt, healedAt, drainMs, isDrained }), arena };
  } finally {
    await arena.close();
    await view?.close();
    sink.child.kill('SIGKILL');
    await server.close();
  }
}

/** The peer of the embedded store runs on a PostgreSQL. */
function openServer({ scenario, side, store, folder }: RunOptions) {
  const own = side === 'stock' && store === 'embedded' ? 'postgres' : store;
  return scenario.server === undefined ? startServer(own, folder) : scenario.server(own, folder);
}

/** Nothing open, three times in a row: a job may be between two states. */
async function drain(view: Side, limitMs: number): Promise<boolean> {
  const until = Date.now() + limitMs;
  for (let empty = 0; Date.now() < until; ) {
    const pending = await view.pending().catch(() => 1);
    empty = pending === 0 ? empty + 1 : 0;
    if (empty === 3) return true;
    await wait(200);
  }
  return false;
}

function judge(
  { folder, load }: SideSettings,
  records: Awaited<ReturnType<Side['records']>>,
  times: { loadedAt: number; healedAt: number; drainMs: number; isDrained: boolean },
): SideResult {
  const paths = logPaths(folder);
  const producer = readLog<ProducerLine>(paths.producer);
  const states = readLog<StateLine>(paths.state);
  const faults = readLog<FaultLine>(paths.faults);
  const { counts, findings } = check({
    producer,
    states,
    effects: readLog<EffectLine>(paths.effects),
    records,
    plan: (key) => {
      const { effect } = workOf(load, key);
      return { ...(effect === 'none' ? {} : { effect }), bad: isBad(load, key) };
    },
    attemptsAllowed: 4,
  });
  const gap = gaps(producer, states, times.loadedAt, times.healedAt);
  return {
    counts,
    findings,
    recoveryMs: spread(recoveryTimes(faults, states)),
    acceptGapMs: gap.acceptMs,
    startGapMs: gap.startMs,
    drainMs: times.drainMs,
    isDrained: times.isDrained,
    crashes: faults.filter((line) => line.event === 'exit' && line.id === 'unasked').length,
    ...noise(folder, (times.healedAt - times.loadedAt + times.drainMs) / 1_000),
    seconds: Math.round((times.healedAt - times.loadedAt) / 1_000),
  };
}

function noise(folder: string, seconds: number): { readonly errors: number; readonly errorsPerS: number } {
  const errors = readdirSync(folder)
    .filter((file) => /^worker-.*\.log$/.test(file))
    .map((file) => readFileSync(join(folder, file), 'utf8').split('"level":"error"').length - 1);
  return {
    errors: errors.reduce((sum, one) => sum + one, 0),
    errorsPerS: Math.round((Math.max(0, ...errors) / seconds) * 10) / 10,
  };
}
