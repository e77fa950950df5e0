/**
 * May this claim run? Fresh jobs are judged without asking the store; a claim that is not the first reads the job's
 * cancel record and its run record in one round trip.
 */
import type { RecordStore } from '../backends/backend.ts';
import { cancelKey } from '../backends/cancel-record.ts';
import { readRun, runKey, type StoredRun } from '../backends/run-record.ts';
import { giveUp, type JobError } from '../jobs/errors.ts';
import type { Policy } from '../jobs/policy.ts';
import type { Claim } from './claim.ts';
import type { Interruptions } from './interruptions.ts';
import type { SkipReason } from './slot-rules.ts';

export type Admission =
  /** `isRedriven`: it was a dead letter before. */
  | { readonly state: 'run'; readonly alone: boolean; readonly isRedriven?: boolean }
  /** A tick of a schedule that is not to run; its job completes. */
  | { readonly state: 'skipped'; readonly reason: SkipReason }
  | { readonly state: 'cancelled' }
  | { readonly state: 'refused'; readonly error: JobError };

const welcome: Admission = { state: 'run', alone: false };

/** What the claim itself says. `redrivenAt`: a redriven job starts a new life, and its old start-by time is void. */
export function admitFresh(claim: Claim, policy: Policy, now: number, redrivenAt?: number): Admission {
  if (claim.problem !== undefined) return { state: 'refused', error: claim.problem };
  if (redrivenAt === undefined && claim.startBy !== undefined && now > claim.startBy) {
    const late = new Date(claim.startBy).toISOString();
    return {
      state: 'refused',
      error: giveUp('EXPIRED', `The job had to start by ${late}; redrive it if still wanted.`),
    };
  }
  const ageMs = now - Math.max(claim.dueAt, redrivenAt ?? 0);
  if (ageMs > policy.maxAgeMs) {
    const message = `The job is ${ageMs} ms old, its type allows ${policy.maxAgeMs}; redrive it if still wanted.`;
    return { state: 'refused', error: giveUp('EXPIRED', message) };
  }
  return welcome;
}

/** As `admitFresh`, and what happened to the job before. Notes a lost claim in the run record. */
export async function admitAgain(
  claim: Claim,
  policy: Policy,
  now: number,
  parts: { readonly records: RecordStore; readonly interruptions: Interruptions },
): Promise<Admission> {
  const [cancelled, stored] = await parts.records.get([
    cancelKey(claim.queue, claim.id),
    runKey(claim.queue, claim.id),
  ]);
  if (cancelled !== undefined) return { state: 'cancelled' };
  const run: StoredRun | undefined = stored === undefined ? undefined : readRun(stored.value);
  const admission = admitFresh(claim, policy, now, run?.redrivenAt);
  if (admission.state !== 'run') return admission;
  const alone = await parts.interruptions.seen(claim, run);
  return { state: 'run', alone, ...(run?.redrivenAt === undefined ? {} : { isRedriven: true }) };
}
