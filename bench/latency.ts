/**
 * R6, P3: how long a job waits for its handler on an idle fleet. Open loop: due times by the clock, the payload carries its due
 * time, so that a late producer counts against us; the worker is another process. Milliseconds; less than 1 is better.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import { payload2K } from './payload.ts';
import { onEachServer, type Server } from './servers.ts';
import { openOurs, openTheirs, type Side } from './sides.ts';
import { clock, startWorkerProcess, type WorkerProcess } from './worker-process.ts';

/** Adds `perSecond` jobs a second, each at its time, and answers the latencies in order of size. */
async function measure(side: Side, worker: WorkerProcess, perSecond: number, ms: number): Promise<number[]> {
  await worker.ask();
  const startedAt = clock();
  const adds: Promise<void>[] = [];
  for (let index = 0; ; ) {
    const now = clock() - startedAt;
    if (now >= ms) break;
    for (; index < (now * perSecond) / 1_000; index += 1) {
      const due = startedAt + (index * 1_000) / perSecond;
      adds.push(side.addPayload({ ...payload2K(index), at: String(due) }));
    }
    await wait(1);
  }
  await Promise.all(adds);
  const latencies: number[] = [];
  while (latencies.length < adds.length) {
    latencies.push(...(await worker.ask()).latencies);
    await wait(20);
  }
  return latencies.toSorted((a, b) => a - b);
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.floor(sorted.length * share)] ?? Number.NaN;

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const perSecond = server.name === 'redis' ? 500 : 200;
  const ms = quick ? 2_000 : 6_000;
  const sides = { ours: await openOurs(server), theirs: await openTheirs(server) };
  const workers = {
    ours: await startWorkerProcess('ours', server),
    theirs: await startWorkerProcess('theirs', server),
  };
  for (const name of ['ours', 'theirs'] as const) await measure(sides[name], workers[name], perSecond, 500); // warm-up
  const rounds: Readonly<Record<'p50' | 'p99', Round[]>> = { p50: [], p99: [] };
  for (let round = 0; round < (quick ? 3 : 5); round += 1) {
    const order = round % 2 === 0 ? (['ours', 'theirs'] as const) : (['theirs', 'ours'] as const);
    const found: Partial<Record<Side['name'], number[]>> = {};
    for (const name of order) found[name] = await measure(sides[name], workers[name], perSecond, ms);
    const { ours = [], theirs = [] } = found;
    rounds.p50.push({ ours: at(ours, 0.5), theirs: at(theirs, 0.5) });
    rounds.p99.push({ ours: at(ours, 0.99), theirs: at(theirs, 0.99) });
  }
  for (const name of ['ours', 'theirs'] as const) {
    await workers[name].terminate();
    await sides[name].close();
  }
  const number = server.name === 'redis' ? 'R6' : 'P3';
  return (['p50', 'p99'] as const).map((share) =>
    goal({ goal: number, name: `pick-up at ${perSecond} jobs/s, ${share}, ms`, backend: server.name }, rounds[share]),
  );
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
