/** What the store is told of a job that passed every check. */
import { createHash } from 'node:crypto';
import type { JobsOptions } from 'bullmq';
import type { JobFacts, NewJob } from '../backends/backend.ts';
import { turnOf } from '../backends/fairness.ts';
import type { Prepared } from './accept.ts';

/** `weight`: the tenant's share of a fair queue. `children`: how many it waits for. */
export function newJob(prepared: Prepared, weight = 1, children = 0): NewJob {
  const { id, job, json, acceptedAt, tenant, options } = prepared;
  const stored = { id, name: job.name, json, timestamp: acceptedAt, options: storeOptions(prepared, children) };
  return job.policy.order === 'fair' ? { ...stored, turn: turnOf(tenant, options.level, weight) } : stored;
}

/**
 * What BullMQ is told. `jobfleet` is our one extra option, and stands there only when it says something; `data` stays
 * the bare payload. Options are packed, stored and read again with every claim, so what is a default is left out.
 */
function storeOptions(prepared: Prepared, children: number): JobsOptions & { readonly jobfleet?: JobFacts } {
  const { job, options, tenant, payload, secrets } = prepared;
  const key = job.uniqueKey?.(payload);
  const facts = factsOf(prepared, children);
  if (key === undefined && facts === undefined && options.attempts === undefined && options.delayMs === undefined)
    return usualOptions(job);
  return {
    attempts: options.attempts ?? job.policy.attempts,
    backoff: { type: 'policy' },
    ...(options.delayMs === undefined ? {} : { delay: options.delayMs }),
    // Hashed: a unique key may hold an address, and options are shown as they are.
    ...(key === undefined ? {} : { deduplication: { id: (secrets?.hash ?? sha256)(`${tenant}\n${key}`) } }),
    ...(facts === undefined ? {} : { jobfleet: facts }),
  };
}

const usual = new WeakMap<Prepared['job'], JobsOptions>();

/** The same object every time: what is made of it on the way to the store is made once. */
function usualOptions(job: Prepared['job']): JobsOptions {
  let options = usual.get(job);
  if (options === undefined) {
    options = Object.freeze({ attempts: job.policy.attempts, backoff: Object.freeze({ type: 'policy' }) });
    usual.set(job, options);
  }
  return options;
}

/** Undefined for a job of nobody that asks for nothing: the usual case. */
function factsOf({ options, tenant, limitKey, isScheduled }: Prepared, children: number): JobFacts | undefined {
  const { level = 'normal', startBy } = options;
  const isPlain = level === 'normal' && limitKey === undefined && startBy === undefined;
  if (tenant === '-' && isPlain && children === 0 && !isScheduled) return undefined;
  return {
    tenant,
    ...(level === 'normal' ? {} : { level }),
    ...(limitKey === undefined ? {} : { limitKey }),
    ...(startBy === undefined ? {} : { startBy: Date.parse(startBy) }),
    ...(children === 0 ? {} : { children }),
    ...(isScheduled ? { isScheduled } : {}),
    v: 1,
  };
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Hashed as well. Undefined where the type does not count by key: then it is not worth its bytes. */
export function hashedLimitKey(job: Prepared['job'], payload: unknown, hash = sha256): string | undefined {
  const { concurrency, rate } = job.policy.perKey;
  if (concurrency === undefined && rate === undefined) return undefined;
  const key = job.limitKey?.(payload);
  return key === undefined ? undefined : hash(key).slice(0, 32);
}
