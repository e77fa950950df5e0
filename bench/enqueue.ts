/**
 * R4, P2: enqueue jobs: 100 callers, one caller in a loop, bulks of 100 one after the other and four at a time; against raw
 * BullMQ on the same server, and the queues of `peers.ts`. `all on`: jobs of 50 tenants for a queue that they share
 * fairly. Bytes: what a waiting job takes of Redis.
 */
import { atLeast, atMost, type BenchOptions, type Goal, goal, type Target } from './goal.ts';
import fairOnce from './jobs/fair-once/job.ts';
import { openPeers } from './peers.ts';
import { against, inTurn, type Measured, perJob } from './rounds.ts';
import { onEachServer, type Server } from './servers.ts';
import { type Adding, addBy, type Side, spent } from './side.ts';
import { openBullmq } from './side-bullmq.ts';
import { openOurs } from './side-ours.ts';

interface Way extends Adding {
  readonly name: string;
  /** Of Redis; PostgreSQL takes a quarter. */
  readonly jobs: number;
  readonly targets: Readonly<Record<'postgres' | 'redis', readonly Target[]>>;
  readonly withPeers?: boolean;
  readonly allOn?: Readonly<Record<'postgres' | 'redis', Target>>;
}

const ways: readonly Way[] = [
  {
    name: '2K, 100 callers',
    jobs: 20_000,
    callers: 100,
    perCall: 1,
    targets: { redis: [atLeast(1.4, 0.95)], postgres: [atLeast(3, 2)] },
    withPeers: true,
    allOn: { redis: atLeast(0.9, 0.6), postgres: atLeast(1, 0.8) },
  },
  {
    name: '100 B, 100 callers',
    size: '100 B',
    jobs: 20_000,
    callers: 100,
    perCall: 1,
    targets: { redis: [atLeast(2)], postgres: [] },
  },
  {
    name: '2K, one caller',
    jobs: 4_000,
    callers: 1,
    perCall: 1,
    targets: { redis: [atLeast(0.95, 0.8)], postgres: [atLeast(0.95, 0.8)] },
  },
  {
    name: '2K in bulks of 100, one caller',
    jobs: 10_000,
    callers: 1,
    perCall: 100,
    targets: { redis: [atLeast(1.5, 1.1)], postgres: [atLeast(1)] },
  },
  {
    name: '2K in bulks of 100, four callers',
    jobs: 10_000,
    callers: 4,
    perCall: 100,
    targets: { redis: [atLeast(1.5, 1.1)], postgres: [] },
  },
];

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const store = server.name === 'redis' ? 'redis' : 'postgres';
  let next = 0;
  const sides: Record<string, Side> = {
    ours: await openOurs(server),
    BullMQ: await openBullmq(server),
    'all on': await openOurs(server, { type: fairOnce, tenant: () => `t${(next += 1) % 50}` }),
    ...Object.fromEntries(await openPeers(server, 50)),
  };
  const goals: Goal[] = [];
  const bytes: Record<string, number> = {};
  for (const way of ways) {
    const jobs = way.jobs / (store === 'redis' ? 1 : 4) / (quick ? 5 : 1);
    const measure = (name: string, side: Side) => async (): Promise<Measured> => {
      await side.clear();
      const before = await server.usedBytes();
      const { ms, cpuMicros } = await spent(server, () => addBy(side, jobs, way));
      if (way.callers === 1 && way.perCall === 100) bytes[name] = ((await server.usedBytes()) - before) / jobs;
      return perJob(jobs, ms, cpuMicros);
    };
    const here = Object.entries(sides).filter(([name]) =>
      name === 'ours' || name === 'BullMQ'
        ? true
        : name === 'all on'
          ? way.allOn !== undefined
          : way.withPeers === true,
    );
    for (const [, side] of here) await addBy(side, Math.min(1_000, jobs), way); // warm-up
    const found = await inTurn(
      quick ? 3 : 5,
      Object.fromEntries(here.map(([name, side]) => [name, measure(name, side)])),
    );
    for (const [name, side] of here) if (name !== 'ours') await side.clear();
    const line = (mine: string, theirs: string, targets: readonly Target[]): Goal =>
      goal(
        {
          goal: store === 'redis' ? 'R4' : 'P2',
          name: `enqueue ${way.name}, jobs/s${mine === 'ours' ? '' : ', fence, once, registry and tenants'}, against ${theirs}`,
          backend: server.name,
        },
        against(found[mine] ?? [], found[theirs] ?? []),
        ...targets,
      );
    goals.push(line('ours', 'BullMQ', way.targets[store]));
    if (way.allOn !== undefined) goals.push(line('all on', 'BullMQ', [way.allOn[store]]));
    for (const [name] of here)
      if (!['ours', 'BullMQ', 'all on'].includes(name))
        goals.push(line('ours', name, name === 'pg-boss' ? [atLeast(1)] : []));
  }
  for (const side of Object.values(sides)) {
    await side.clear();
    await side.close();
  }
  const { ours = Number.NaN, BullMQ: theirs = Number.NaN } = bytes;
  if (store === 'redis')
    goals.push(
      goal(
        { goal: 'R9', name: 'one waiting 2K job, bytes, against BullMQ', backend: 'redis' },
        [{ ours, theirs }],
        atMost(3_150, 3_600, 'ours'),
      ),
    );
  return goals;
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
