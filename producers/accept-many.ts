/**
 * Several jobs in one call: all of them pass every check and limit before they are stored, all together, and each gets its
 * answer, in order. One round trip, beside those for idempotency keys, turns and tenants.
 */

import type { NewJob, QueueJobs } from '../backends/backend.ts';
import type { Enqueued } from '../jobs/define.ts';
import { type AcceptParts, answer, counted, type Prepared, weightOf, withId } from './accept.ts';
import { LimitedError } from './errors.ts';
import { type ClaimedKey, claimKey } from './idempotency.ts';
import { newJob } from './new-job.ts';
import { addManyLarge } from './offload.ts';

const keysAtOnce = 20;

/**
 * Throws `LimitedError` or `IDEMPOTENCY_MISMATCH`, then nothing was stored; a Redis Cluster that runs full in between keeps
 * the queues before. After any other error of the store all or none of them are.
 */
export async function acceptMany(
  prepared: readonly Prepared[],
  routeOf: (prepared: Prepared) => string,
  parts: AcceptParts,
): Promise<Enqueued[]> {
  const refused = await parts.gate.refusal(prepared);
  if (refused !== undefined) throw refused;
  const keys = await claimKeys(prepared, routeOf, parts);
  const entries = prepared.map((one, place): Entry => ({ prepared: one, place, claimed: keys.get(place) }));
  const fresh = entries.filter(({ claimed }) => claimed?.isStored !== true);
  const counting = parts.gate.count(fresh.map((entry) => entry.prepared));
  if (counting !== undefined) {
    const rate = await orForget(counting, keys);
    parts.onRate?.(rate);
  }
  const answers = new Map(
    entries.flatMap(({ prepared: one, place, claimed }) =>
      claimed?.isStored === true ? [[place, answer(one, claimed.id, true)]] : [],
    ),
  );
  await store(byQueue(fresh), answers, parts);
  return prepared.flatMap((_, place) => answers.get(place) ?? []);
}

interface Entry {
  readonly prepared: Prepared;
  readonly place: number;
  readonly claimed: ClaimedKey | undefined;
}

/** A key that names another request gives back those that were claimed before it was met. */
async function claimKeys(
  prepared: readonly Prepared[],
  routeOf: (prepared: Prepared) => string,
  { backend }: AcceptParts,
): Promise<Map<number, ClaimedKey>> {
  const keyed = prepared.flatMap((one, place) => (one.options.idempotencyKey === undefined ? [] : [{ one, place }]));
  const claimed = new Map<number, ClaimedKey>();
  for (let from = 0; from < keyed.length; from += keysAtOnce) {
    const asked = keyed.slice(from, from + keysAtOnce);
    const answers = await Promise.allSettled(
      asked.map(({ one, place }) => claimKey(backend.records, one, routeOf(one), `items.${place}`)),
    );
    let failed: PromiseRejectedResult | undefined;
    for (const [index, settled] of answers.entries()) {
      const place = asked[index]?.place;
      if (settled.status === 'rejected') failed ??= settled;
      else if (place !== undefined) claimed.set(place, settled.value);
    }
    if (failed !== undefined) {
      await forgetAll(claimed);
      throw failed.reason instanceof Error ? failed.reason : new Error(String(failed.reason));
    }
  }
  return claimed;
}

async function orForget<T>(counting: Promise<T>, keys: ReadonlyMap<number, ClaimedKey>): Promise<T> {
  try {
    return await counting;
  } catch (error) {
    if (error instanceof LimitedError) await forgetAll(keys);
    throw error;
  }
}

async function forgetAll(keys: ReadonlyMap<number, ClaimedKey>): Promise<void> {
  for (const key of keys.values()) if (key.isNew) await key.forget();
}

function byQueue(entries: readonly Entry[]): Map<string, readonly Entry[]> {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const name = entry.prepared.job.name;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [entry]);
    else group.push(entry);
  }
  return groups;
}

/** All of them in one call to the store, so that it takes all or none. */
async function store(
  groups: ReadonlyMap<string, readonly Entry[]>,
  answers: Map<number, Enqueued>,
  parts: AcceptParts,
): Promise<void> {
  const bulk: QueueJobs[] = [];
  for (const [queue, group] of groups) bulk.push({ queue, jobs: await newJobs(group, parts) });
  const stored = await addManyLarge(bulk, parts);
  const confirming: Promise<void>[] = [];
  for (const [at, group] of [...groups.values()].entries())
    for (const [index, { prepared, place, claimed }] of group.entries()) {
      const asked = claimed?.id ?? prepared.id;
      const id = stored[at]?.[index] ?? asked;
      answers.set(place, counted(prepared, id, id !== asked || claimed?.isNew === false, parts));
      if (claimed !== undefined) confirming.push(claimed.confirm(id));
      if (confirming.length === keysAtOnce) await Promise.all(confirming.splice(0));
    }
  await Promise.all(confirming);
}

async function newJobs(group: readonly Entry[], parts: AcceptParts): Promise<NewJob[]> {
  const jobs: NewJob[] = [];
  for (const { prepared, claimed } of group) {
    const weight = weightOf(prepared, parts);
    jobs.push(newJob(withId(prepared, claimed?.id ?? prepared.id), typeof weight === 'number' ? weight : await weight));
  }
  return jobs;
}
