/** R9: bytes of Redis for one waiting and one completed 2K job, ours and raw BullMQ's (`used_memory` before and after). */
import { Redis } from 'ioredis';
import { type BenchOptions, type Goal, goal } from './goal.ts';
import { type Server, startRedis } from './servers.ts';
import { openOurs, openTheirs, type Side } from './sides.ts';

async function usedBytes(client: Redis): Promise<number> {
  const used = /^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1];
  if (used === undefined) throw new Error('Redis does not say how much memory it uses');
  return Number(used);
}

interface PerJob {
  readonly waiting: number;
  readonly completed: number;
}

async function perJob(open: (server: Server) => Promise<Side>, count: number, tenants?: number): Promise<PerJob> {
  const server = await startRedis();
  const client = new Redis(server.url);
  const side = await open(server);
  const empty = await usedBytes(client);
  await side.fill(count, tenants);
  const waiting = ((await usedBytes(client)) - empty) / count;
  await side.drain(count);
  await side.assertEmpty();
  const completed = ((await usedBytes(client)) - empty) / count;
  await side.close();
  await client.quit();
  await server.close();
  return { waiting, completed };
}

export async function run({ quick, backend }: BenchOptions): Promise<Goal[]> {
  if (backend !== undefined && backend !== 'redis') return [];
  // Below the 10,000 that are kept, so that nothing is removed while we count.
  const count = quick ? 2_000 : 9_000;
  const ours = await perJob(openOurs, count);
  const withTenant = await perJob(openOurs, count, 50);
  const theirs = await perJob(openTheirs, count);
  const fact = (name: string, oursBytes: number, theirsBytes: number): Goal =>
    goal({ goal: 'R9', name, backend: 'redis' }, [{ ours: oursBytes, theirs: theirsBytes }]);
  return [
    fact('one waiting 2K job, bytes', ours.waiting, theirs.waiting),
    fact('one waiting 2K job of a tenant, bytes', withTenant.waiting, theirs.waiting),
    fact('one completed 2K job, bytes', ours.completed, theirs.completed),
  ];
}
