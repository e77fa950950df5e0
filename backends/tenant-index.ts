/**
 * Which jobs are a tenant's, in Redis: one sorted set per queue and tenant, by acceptance, written beside the add. It
 * names candidates only; the job itself says whose it is, and entries of jobs that are gone are swept.
 */
import type { JobJson, RedisQueueBackend } from 'bullmq';
import { Cluster } from 'ioredis';
import type { Chore } from './backend.ts';
import { tenantOf } from './find.ts';
import { byQueue } from './flows.ts';
import type { RedisClient } from './redis-client.ts';
import { script } from './redis-script.ts';

export const tenantKey = (queue: string, tenant: string): string => `jobfleet:{${queue}}:tenant:${tenant}`;
/** Every pair of queue and tenant that has such a set. */
const pairsKey = 'jobfleet:tenants';

/** What of a job is noted. */
export interface Noted {
  readonly jobId: string;
  readonly job: Pick<JobJson, 'opts' | 'timestamp'>;
}

/** Notes those of the jobs that have a tenant. `undefined` = none has. */
export type NoteTenants = (queue: string, jobs: readonly Noted[]) => Promise<unknown> | undefined;

// KEYS: the pairs, then the set of each tenant. ARGV: as many pairs, then for each job which of the keys, its time and id.
const noteAll = script(`
  redis.call('SADD', KEYS[1], unpack(ARGV, 1, #KEYS - 1))
  for at = #KEYS, #ARGV, 3 do redis.call('ZADD', KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]) end`);
/** Lua unpacks a few thousand at most. */
const mostTenants = 1_000;

/** One script call for jobs of many tenants; on a Cluster, where each set lies on a node of its own, two commands a tenant. */
export function tenantNotes(client: RedisClient): NoteTenants {
  const together = async (queue: string, groups: readonly (readonly [string, readonly Noted[]])[]): Promise<void> => {
    const pairs = groups.map(([tenant]) => `${queue} ${tenant}`);
    const entries = groups.flatMap(([, jobs], place) =>
      jobs.flatMap(({ job, jobId }) => [place + 2, job.timestamp, jobId]),
    );
    await noteAll(client, [pairsKey, ...groups.map(([tenant]) => tenantKey(queue, tenant))], [...pairs, ...entries]);
  };
  const apart = async (queue: string, [tenant, jobs]: readonly [string, readonly Noted[]]): Promise<void> => {
    const entries = jobs.flatMap(({ job, jobId }) => [String(job.timestamp), jobId]);
    await Promise.all([client.zadd(tenantKey(queue, tenant), ...entries), client.sadd(pairsKey, `${queue} ${tenant}`)]);
  };
  return (queue, jobs) => {
    const groups = [...byTenant(jobs)];
    if (groups.length === 0) return undefined;
    if (client instanceof Cluster) return Promise.all(groups.map((group) => apart(queue, group)));
    const calls: Promise<void>[] = [];
    for (let from = 0; from < groups.length; from += mostTenants)
      calls.push(together(queue, groups.slice(from, from + mostTenants)));
    return Promise.all(calls);
  };
}

function byTenant(jobs: readonly Noted[]): Map<string, Noted[]> {
  const groups = new Map<string, Noted[]>();
  for (const one of jobs) {
    const tenant = tenantOf(one.job);
    if (tenant === '-') continue;
    const group = groups.get(tenant);
    if (group === undefined) groups.set(tenant, [one]);
    else group.push(one);
  }
  return groups;
}

/**
 * On the instance of a queue: jobs are noted while they are added. Before, on the same connection, because a Redis that
 * has no room for the note must not have stored the job.
 */
export function indexTenants(backend: RedisQueueBackend, queue: string, note: NoteTenants): void {
  const addOne = backend.addJob.bind(backend);
  const addFlow = backend.addFlow.bind(backend);
  backend.addJob = (job, jobId, parent) => {
    const noted = note(queue, [{ job, jobId }]);
    const added = addOne(job, jobId, parent);
    return noted === undefined ? added : Promise.all([noted, added]).then(([, id]) => id);
  };
  backend.addFlow = async (entries) => {
    const noted = Array.from(byQueue(entries), async ([name, theirs]) =>
      note(
        name,
        theirs.map(({ jobData, jobId }) => ({ job: jobData, jobId })),
      ),
    );
    await Promise.all(noted);
    return addFlow(entries);
  };
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
