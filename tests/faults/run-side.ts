/** One side of a scenario from an empty store to the verdict: load and faults, heal, settle, drain, check. */
import { chmod, mkdir } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { type Arena, openArena } from './arena.ts';
import { judgeRun, type SideResult } from './judge-run.ts';
import type { AnyRate } from './plan.ts';
import { startProcess } from './processes.ts';
import { openOf } from './records.ts';
import type { Scenario } from './scenario.ts';
import { type StoreName, startServer, versionOf } from './servers.ts';
import { openSide, type Side, type SideSettings } from './side.ts';

export interface RunOptions {
  readonly scenario: Scenario;
  readonly side: 'ours' | 'stock';
  readonly store: StoreName;
  readonly seconds: number;
  /** Jobs a second where the scenario does not say. */
  readonly rate: number;
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
  const load: AnyRate = scenario.load;
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
    load: { ...load, rate: load.rate ?? options.rate },
    from: 0,
  };
  const size = scenario.workers ?? 3;
  const versions = await versionOf(side === 'stock' && store === 'embedded' ? 'postgres' : store, server);
  const arena = openArena({ settings, store, server, versions, seconds: options.seconds, size });
  let view: Side | undefined;
  try {
    if (scenario.startsIdle !== true) {
      // One first: it makes the schema, and the embedded store.
      await arena.startWorker();
      await arena.refill();
    }
    await arena.startProducer();
    const loadedAt = Date.now();
    await scenario.inject(arena);
    await arena.stopProducer();
    const healedAt = Date.now();
    await arena.refill();
    await arena.settle();
    view = await openSide(settings);
    const isDrained = await drain(view, scenario);
    const drainMs = Date.now() - healedAt;
    const records = await view.records();
    await Promise.all(arena.workers.slice().map((worker) => arena.ask(worker, 'vitals')));
    if (sinkProblem !== '') throw new Error(`${sinkProblem}; see ${folder}`);
    const alert = side === 'ours' ? scenario.alert : undefined;
    return { result: judgeRun({ settings, records, alert, loadedAt, healedAt, drainMs, isDrained }), arena };
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

/** Nothing open, three times in a row: a job may be between two states. False: time is over, or nothing moves any more. */
async function drain(view: Side, { drainMs = 180_000, stalledMs = 60_000 }: Scenario): Promise<boolean> {
  const until = Date.now() + drainMs;
  let seen = '';
  let movedAt = Date.now();
  for (let empty = 0; Date.now() < until && Date.now() < movedAt + stalledMs; ) {
    const counts = await view.counts().catch(() => undefined);
    empty = counts !== undefined && openOf(counts) === 0 ? empty + 1 : 0;
    if (empty === 3) return true;
    const now = JSON.stringify(counts);
    if (now !== seen) movedAt = Date.now();
    seen = now;
    await wait(200);
  }
  return false;
}
