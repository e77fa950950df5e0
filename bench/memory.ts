/** R9: bytes of Redis for one waiting and one completed job of 100 B, 2K and 20K, ours and raw BullMQ's, before and after. */
import { atMost, type BenchOptions, type Goal, goal, type Target } from './goal.ts';
import type { Size } from './payload.ts';
import { type Server, startRedis } from './servers.ts';
import { assertEmpty, drain, fill, type Side } from './side.ts';
import { openBullmq } from './side-bullmq.ts';
import { openOurs } from './side-ours.ts';

interface PerJob {
  readonly waiting: number;
  readonly completed: number;
}

async function perJob(open: (server: Server) => Promise<Side>, count: number, size: Size): Promise<PerJob> {
  const server = await startRedis();
  const side = await open(server);
  const empty = await server.usedBytes();
  await fill(side, count, size);
  const waiting = ((await server.usedBytes()) - empty) / count;
  await drain(side, count, server);
  await assertEmpty(side);
  const completed = ((await server.usedBytes()) - empty) / count;
  await side.close();
  await server.close();
  return { waiting, completed };
}

/** Bytes of a waiting job: of nobody, and of a tenant. */
const most: Readonly<Partial<Record<Size, readonly [Target, Target]>>> = {
  '100 B': [atMost(800, 1_100, 'ours'), atMost(950, 1_300, 'ours')],
  '2K': [atMost(3_150, 3_600, 'ours'), atMost(3_300, 3_800, 'ours')],
};

export async function run({ quick, backend }: BenchOptions): Promise<Goal[]> {
  if (backend !== undefined && backend !== 'redis') return [];
  // Below the 10,000 that are kept, so that nothing is removed while we count.
  const count = quick ? 2_000 : 9_000;
  const goals: Goal[] = [];
  let next = 0;
  for (const size of ['100 B', '2K', '20K'] as const) {
    const ours = await perJob(openOurs, count, size);
    const withTenant = await perJob(
      (server) => openOurs(server, { tenant: () => `t${(next += 1) % 50}` }),
      count,
      size,
    );
    const theirs = await perJob(openBullmq, count, size);
    const fact = (name: string, mine: number, other: number, ...targets: Target[]): Goal =>
      goal({ goal: 'R9', name: `${name}, bytes`, backend: 'redis' }, [{ ours: mine, theirs: other }], ...targets);
    const [alone, ofTenant] = most[size] ?? [];
    goals.push(
      fact(`one waiting ${size} job`, ours.waiting, theirs.waiting, ...(alone === undefined ? [] : [alone])),
      fact(
        `one waiting ${size} job of a tenant`,
        withTenant.waiting,
        theirs.waiting,
        ...(ofTenant === undefined ? [] : [ofTenant]),
      ),
      fact(`one completed ${size} job against BullMQ's`, ours.completed, theirs.completed),
      fact(`one completed ${size} job against a waiting one`, ours.completed, ours.waiting, atMost(1.2, 1.4)),
    );
  }
  return goals;
}
