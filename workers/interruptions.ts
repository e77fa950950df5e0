/**
 * What workers note in the run record of a job: which runs ended for no fault of its own, and whether it may run among
 * others. It is written at a hand-back, after a lost claim, and when a child died; it is read at a claim that is not the
 * first.
 *
 * A crash of the worker says nothing about who caused it, so every job that was in it is a suspect and runs alone in a
 * child from then on. A child's death is seen by its living worker and counts against the job.
 */
import type { RecordStore } from '../backends/backend.ts';
import { changeRun, type InterruptionCause, type StoredRun } from '../backends/run-record.ts';
import { giveUp, type JobError, retry, tryAgainIn } from '../jobs/errors.ts';
import type { Claim } from './claim.ts';

const causesKept = 50;
const alertAt = 20;
/** Deaths in a child of its own after which a job is given up: a suspect of a type that usually runs among others, and of a type that always has a child. */
const deathsAllowed = { suspect: 3, child: 2 } as const;

export interface Interruptions {
  /** At a claim that is not the first: notes lost claims and answers whether the job has to run alone. */
  seen(claim: Claim, run: StoredRun | undefined): Promise<boolean>;
  /** A run that ended for no fault of the job, with the job still in our hands. */
  note(claim: Claim, cause: InterruptionCause): Promise<void>;
  /** The job's child died (`SANDBOX_*`): what becomes of the job. Spends an attempt only where a time limit would in process. */
  died(claim: Claim, error: JobError, hasOwnChild: boolean): Promise<JobError>;
}

export function createInterruptions(parts: {
  readonly records: RecordStore;
  readonly now: () => number;
  /** Told once per interruption. */
  readonly onInterrupted: (claim: Claim, cause: InterruptionCause) => void;
  /** A job that keeps being interrupted: somebody should look. */
  readonly onAlert: (claim: Claim, interrupted: number) => void;
}): Interruptions {
  const change = (claim: Claim, update: (run: StoredRun) => StoredRun): Promise<StoredRun> =>
    changeRun(parts.records, claim.queue, claim.id, update);
  const append = (run: StoredRun, causes: StoredRun['causes']): StoredRun => {
    const interrupted = run.interrupted + causes.length;
    return {
      ...run,
      causes: [...run.causes, ...causes].slice(-causesKept),
      interrupted,
      lostClaims: Math.max(run.lostClaims, ...causes.map(({ loss = 0 }) => loss)),
      suspect: run.suspect || causes.some(({ cause }) => cause === 'crash') || interrupted >= alertAt,
    };
  };
  const tell = (claim: Claim, cause: InterruptionCause, times: number, run: StoredRun): void => {
    for (let told = 0; told < times; told += 1) parts.onInterrupted(claim, cause);
    if (times > 0 && run.interrupted >= alertAt) parts.onAlert(claim, run.interrupted);
  };
  return {
    async seen(claim, run) {
      if (claim.lostClaims <= (run?.lostClaims ?? 0)) return run?.suspect ?? false;
      let lost = 0;
      const changed = await change(claim, (latest) => {
        lost = Math.max(0, claim.lostClaims - latest.lostClaims);
        const crash = (_: unknown, place: number) =>
          ({ cause: 'crash', at: parts.now(), loss: latest.lostClaims + place + 1 }) as const;
        return append(latest, Array.from({ length: lost }, crash));
      });
      tell(claim, 'crash', lost, changed);
      return changed.suspect;
    },
    async note(claim, cause) {
      const at = parts.now();
      const loss = claim.lostClaims + 1;
      let isKnown = false;
      const changed = await change(claim, (run) => {
        // The store counts a claim that was taken away as lost, so the next claim may have been here first. It knew no better than to call it a crash.
        isKnown = cause === 'lease' && run.lostClaims >= loss;
        if (!isKnown) return append(run, [cause === 'lease' ? { cause, at, loss } : { cause, at }]);
        return { ...run, causes: run.causes.map((known) => (known.loss === loss ? { ...known, cause } : known)) };
      });
      tell(claim, cause, isKnown ? 0 : 1, changed);
    },
    async died(claim, error, hasOwnChild) {
      // A handler that usually runs in process would have been retried at its time limit: alone, it is judged the same.
      if (!hasOwnChild && error.code === 'SANDBOX_TIMEOUT')
        return retry('TIMED_OUT', error.message, 0, { cause: error });
      const { deaths } = await change(claim, (run) => ({ ...run, deaths: run.deaths + 1, suspect: true }));
      const allowed = hasOwnChild ? deathsAllowed.child : deathsAllowed.suspect;
      if (deaths < allowed) return tryAgainIn(deaths * 1_000, error.code, error.message, { cause: error });
      return giveUp(hasOwnChild ? error.code : 'SANDBOX_CRASH', `${error.message} (run ${deaths} times alone)`, {
        cause: error,
      });
    },
  };
}
