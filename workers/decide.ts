/** The verdict on a failed attempt: error × attempt × policy → outcome. Pure: no queue, no clock. */
import { JobError } from '../jobs/errors.ts';
import type { Policy } from '../jobs/policy.ts';

export type Outcome =
  | { readonly state: 'done' }
  | { readonly state: 'dead'; readonly code: string }
  | { readonly state: 'retry' | 'later'; readonly delayMs: number; readonly code: string };

/**
 * `error` undefined = success, so whoever calls wraps a thrown `undefined` first. `attempt` counts from 1 and includes
 * the one that just failed. `limits.attempts` is the job's own number. Full jitter: a uniform share of
 * baseMs × 2^(attempt − 1), capped, but never less than the error's own floor (a Retry-After).
 */
export function decide(
  error: unknown,
  attempt: number,
  limits: Pick<Policy, 'attempts' | 'backoff'>,
  random: () => number = Math.random,
): Outcome {
  if (error === undefined) return { state: 'done' };
  const code = error instanceof JobError ? error.code : 'UNEXPECTED';
  const verdict = error instanceof JobError ? error.verdict : ({ kind: 'retry', notBeforeMs: 0 } as const);
  switch (verdict.kind) {
    case 'dead':
      return { state: 'dead', code };
    case 'later':
      return { state: 'later', delayMs: verdict.delayMs, code };
    case 'retry': {
      if (attempt >= limits.attempts) return { state: 'dead', code };
      const ceilingMs = Math.min(limits.backoff.maxMs, limits.backoff.baseMs * 2 ** (attempt - 1));
      return { state: 'retry', delayMs: Math.max(verdict.notBeforeMs, Math.round(random() * ceilingMs)), code };
    }
  }
}
