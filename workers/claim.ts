/** The first step of an attempt: what the store handed over, read into a value that the other steps can trust. */
import type { JobFacts } from '../backends/backend.ts';
import { slotOf } from '../backends/slot-id.ts';
import type { Job } from '../jobs/define.ts';
import { giveUp, type JobError } from '../jobs/errors.ts';

/** The fields of BullMQ's `Job` that an attempt reads. */
export interface StoredClaim {
  readonly id?: string | undefined;
  readonly name: string;
  readonly data: unknown;
  readonly opts: {
    readonly attempts?: number | undefined;
    readonly delay?: number | undefined;
    readonly jobfleet?: unknown;
  };
  readonly timestamp: number;
  readonly attemptsMade: number;
  readonly attemptsStarted: number;
  readonly stalledCounter: number;
}

/** One claimed job. Everything in it was there at the claim; nothing changes during the attempt. */
export interface Claim {
  readonly id: string;
  readonly queue: string;
  /** As the store says; differs from the queue when a foreign client added it. */
  readonly name: string;
  readonly payload: unknown;
  readonly tenant: string;
  /** What the limits of the type count the job by; see `Job.limitKey`. */
  readonly limitKey: string | undefined;
  /** Epoch ms. */
  readonly startBy: number | undefined;
  /** Counts from 1 and includes this one. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly fence: number;
  /** The tick of a schedule it is for, epoch ms; undefined for every other job. */
  readonly slot: number | undefined;
  /** The system added it for the schedule of its type: a tick, or a run on demand. */
  readonly isScheduled: boolean;
  /** Epoch ms at which the job was first due: its age counts from here, so that a long delay does not eat it up. */
  readonly dueAt: number;
  /** Claims that were lost so far (crash, lease), as the store counts them. */
  readonly lostClaims: number;
  /** Nothing happened to the job before, so that there is no record to read. */
  readonly isFirst: boolean;
  /** Why the stored job cannot be run at all. */
  readonly problem: JobError | undefined;
}

const tenantRule = /^(?:-|[a-z0-9_-]{1,64})$/;
/** Slots of the lease thread hold this many bytes of an id. */
export const idLimitBytes = 256;

/** Never throws: what is wrong stands in `problem`, because the verdict on it needs the rest of the claim. */
export function parseClaim(stored: StoredClaim, job: Job): Claim {
  const facts = factsOf(stored.opts.jobfleet);
  const id = stored.id ?? '';
  const slot = slotOf(job.name, id);
  return {
    id,
    queue: job.name,
    name: stored.name,
    payload: stored.data,
    tenant: facts?.tenant ?? '-',
    limitKey: facts?.limitKey,
    startBy: facts?.startBy,
    attempt: stored.attemptsMade + 1,
    maxAttempts: stored.opts.attempts ?? job.policy.attempts,
    fence: stored.attemptsStarted,
    slot,
    isScheduled: facts?.tenant === '-' && (slot !== undefined || facts.isScheduled === true),
    dueAt: stored.timestamp + (stored.opts.delay ?? 0),
    lostClaims: stored.stalledCounter,
    isFirst:
      stored.attemptsStarted <= stored.attemptsMade + 1 && stored.attemptsMade === 0 && stored.stalledCounter === 0,
    problem: problemOf(stored, id, facts, job),
  };
}

/** Undefined when they are not ours to read. A job without them (added on the board, by a foreign client) is nobody's. */
function factsOf(value: unknown): Pick<JobFacts, 'isScheduled' | 'limitKey' | 'startBy' | 'tenant'> | undefined {
  if (value === undefined || value === null) return { tenant: '-' };
  if (typeof value !== 'object' || !('tenant' in value) || typeof value.tenant !== 'string') return undefined;
  if (!tenantRule.test(value.tenant)) return undefined;
  const startBy = 'startBy' in value ? (value.startBy ?? undefined) : undefined;
  if (startBy !== undefined && !(typeof startBy === 'number' && Number.isFinite(startBy))) return undefined;
  const limitKey = 'limitKey' in value && typeof value.limitKey === 'string' ? value.limitKey : undefined;
  return {
    tenant: value.tenant,
    ...(limitKey === undefined ? {} : { limitKey }),
    ...(startBy === undefined ? {} : { startBy }),
    ...('isScheduled' in value && value.isScheduled === true ? { isScheduled: true } : {}),
  };
}

function problemOf(stored: StoredClaim, id: string, facts: unknown, job: Job): JobError | undefined {
  const data = stored.data;
  if (typeof data === 'object' && data !== null && '$malformed' in data)
    return giveUp('MALFORMED', 'The stored payload is not JSON; discard the job or redrive it with a patch.');
  if (id === '' || Buffer.byteLength(id) > idLimitBytes)
    return giveUp('MALFORMED', `The job id must have 1 to ${idLimitBytes} bytes, got ${Buffer.byteLength(id)}.`);
  if (facts === undefined)
    return giveUp('MALFORMED', 'The stored facts (opts.jobfleet) are not ours; expected {tenant, startBy?, v: 1}.');
  if (stored.name !== job.name)
    return giveUp(
      'UNKNOWN_JOB',
      `The queue ${job.name} holds a job named "${stored.name.slice(0, 80)}"; deploy workers before producers, then redrive.`,
    );
  return undefined;
}
