/**
 * Which jobs are a tenant's, in Redis: one sorted set per queue and tenant, by acceptance, written beside the add. It
 * names candidates only; the job itself says whose it is, and entries of jobs that are gone are swept.
 */
import type { Backend, Chore, NewJob } from './backend.ts';
import { tenantOf } from './find.ts';
import { jobsOf } from './flows.ts';
import type { RedisClient } from './redis-client.ts';

export const tenantKey = (queue: string, tenant: string): string => `jobfleet:{${queue}}:tenant:${tenant}`;
/** Every pair of queue and tenant that has such a set. */
const pairsKey = 'jobfleet:tenants';

/**
 * Jobs with a tenant are noted while they are added: before, on the same connection, because a Redis that has no room for
 * the note must not have stored the job.
 */
export function indexTenants(stock: Pick<Backend, 'add' | 'addMany'>, client: RedisClient): typeof stock {
  return {
    add(queue, job) {
      const tenant = tenantOf({ opts: job.options });
      if (tenant === '-') return stock.add(queue, job);
      return Promise.all([note(client, queue, tenant, [job]), stock.add(queue, job)]).then(([, id]) => id);
    },
    async addMany(bulk) {
      const notes = bulk.flatMap(({ queue, jobs }) =>
        Array.from(byTenant(jobs), ([tenant, theirs]) => note(client, queue, tenant, theirs)),
      );
      await Promise.all(notes);
      return stock.addMany(bulk);
    },
  };
}

function byTenant(jobs: readonly NewJob[]): Map<string, NewJob[]> {
  const groups = new Map<string, NewJob[]>();
  for (const job of jobs) {
    const tenant = tenantOf({ opts: job.options });
    if (tenant === '-') continue;
    const group = groups.get(tenant);
    if (group === undefined) groups.set(tenant, [job]);
    else group.push(job);
  }
  return groups;
}

/** Those of a flow have one tenant. */
export function indexFlows(stock: Pick<Backend, 'addFlow'>, client: RedisClient): Pick<Backend, 'addFlow'> {
  return {
    async addFlow(flow) {
      const tenant = tenantOf({ opts: flow.job.options });
      const notes = tenant === '-' ? [] : jobsOf(flow).map(({ queue, job }) => note(client, queue, tenant, [job]));
      await Promise.all([...notes, stock.addFlow(flow)]);
    },
  };
}

async function note(client: RedisClient, queue: string, tenant: string, jobs: readonly NewJob[]): Promise<void> {
  const entries = jobs.flatMap(({ timestamp, id }) => [String(timestamp), id]);
  await Promise.all([client.zadd(tenantKey(queue, tenant), ...entries), client.sadd(pairsKey, `${queue} ${tenant}`)]);
}

const perSlice = 1_000;
const slicesPerRun = 50;
/** An entry may be there a moment before its job. */
const youngMs = 3_600_000;

/** Walks through all entries, 50,000 a run, and drops those whose job is gone. */
export function tenantSweep(
  client: RedisClient,
  prefixOf: (queue: string) => string,
  now: () => Promise<number>,
): Chore {
  let walk: AsyncGenerator<undefined> | undefined;
  return {
    name: 'entries of tenants',
    everyMs: 600_000,
    async run(signal) {
      walk ??= sweepAll(client, prefixOf, (await now()) - youngMs);
      for (let slices = 0; slices < slicesPerRun && !signal.aborted; slices += 1) {
        const { done } = await walk.next();
        if (done !== true) continue;
        walk = undefined;
        return;
      }
    },
  };
}

async function* sweepAll(
  client: RedisClient,
  prefixOf: (queue: string) => string,
  before: number,
): AsyncGenerator<undefined> {
  for (const pair of await client.smembers(pairsKey)) {
    const [queue = '', tenant = ''] = pair.split(' ');
    const key = tenantKey(queue, tenant);
    for (let kept = 0, size = perSlice; size === perSlice; ) {
      const ids = await client.zrange(key, String(kept), String(kept + perSlice - 1));
      const present = await Promise.all(ids.map((id) => client.exists(`${prefixOf(queue)}:${queue}:${id}`)));
      const scores = await Promise.all(ids.map((id) => client.zscore(key, id)));
      const gone = ids.filter((_, at) => present[at] === 0 && Number(scores[at]) < before);
      if (gone.length > 0) await client.zrem(key, ...gone);
      kept += ids.length - gone.length;
      size = ids.length;
      yield undefined;
    }
    if ((await client.zcard(key)) > 0) continue;
    await client.srem(pairsKey, pair);
    // Noted again between the two.
    if ((await client.zcard(key)) > 0) await client.sadd(pairsKey, pair);
  }
}
