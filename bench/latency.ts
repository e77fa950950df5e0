/**
 * R6, P3: how long a job waits for its handler on an idle fleet. Open loop: due times by the clock, the payload carries its due
 * time, so that a late producer counts against us; the worker is another process. Milliseconds; less than 1 is better.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { atMost, type BenchOptions, type Goal, goal, type Target } from './goal.ts';
import { payloadOf } from './payload.ts';
import { against, inTurn, type Measured } from './rounds.ts';
import { onEachServer, type Server } from './servers.ts';
import type { Side } from './side.ts';
import { openBullmq } from './side-bullmq.ts';
import { openOurs } from './side-ours.ts';
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
      adds.push(side.add({ ...payloadOf(index), at: String(due) }));
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

const shares = { p50: 0.5, p95: 0.95, p99: 0.99 } as const;
type Share = keyof typeof shares;

const at = (sorted: readonly number[], share: Share): number =>
  sorted[Math.floor(sorted.length * shares[share])] ?? Number.NaN;

/** Goals beside those of §2: none at the rates that only show where it ends. */
function targetsOf(store: 'postgres' | 'redis', perSecond: number, share: Share): readonly Target[] {
  if (share === 'p95') return [];
  if (perSecond <= 500) return [atMost(1, 2)];
  return store === 'redis' && perSecond === 2_000 && share === 'p99' ? [atMost(20, undefined, 'ours')] : [];
}

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const store = server.name === 'redis' ? 'redis' : 'postgres';
  const rates = store === 'redis' ? [500, 2_000, 5_000] : [200];
  const ms = quick ? 2_000 : 6_000;
  const sides = { ours: await openOurs(server), theirs: await openBullmq(server) };
  const workers = {
    ours: await startWorkerProcess('ours', server),
    theirs: await startWorkerProcess('theirs', server),
  };
  const goals: Goal[] = [];
  for (const perSecond of quick ? rates.slice(0, 2) : rates) {
    for (const name of ['ours', 'theirs'] as const) await measure(sides[name], workers[name], perSecond, 500); // warm-up
    const found = { ours: [] as number[][], theirs: [] as number[][] };
    const run = (name: 'ours' | 'theirs') => async (): Promise<Measured> => {
      const latencies = await measure(sides[name], workers[name], perSecond, ms);
      found[name].push(latencies);
      return { value: at(latencies, 'p50') };
    };
    await inTurn(quick ? 3 : 5, { ours: run('ours'), theirs: run('theirs') });
    const of = (name: 'ours' | 'theirs', share: Share): Measured[] =>
      found[name].map((latencies) => ({ value: at(latencies, share) }));
    for (const share of ['p50', 'p95', 'p99'] as const)
      goals.push(
        goal(
          {
            goal: store === 'redis' ? 'R6' : 'P3',
            name: `pick-up at ${perSecond} jobs/s, ${share}, ms`,
            backend: server.name,
          },
          against(of('ours', share), of('theirs', share)),
          ...targetsOf(store, perSecond, share),
        ),
      );
  }
  for (const name of ['ours', 'theirs'] as const) {
    await workers[name].terminate();
    await sides[name].close();
  }
  return goals;
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
