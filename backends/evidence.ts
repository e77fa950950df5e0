/** What is known of how a job came to be a dead letter, beside its last failure: read together when somebody looks. */
import type { Job as StoredJob } from 'bullmq';
import type { RecordStore } from './backend.ts';
import { type Effect, readEffects } from './once-record.ts';
import { readRun, runKey, type StoredRun } from './run-record.ts';

/** What there is to say of it, in `evidenceLines`. */
interface Facts extends Pick<StoredRun, 'run' | 'failures' | 'causes' | 'deaths' | 'suspect'> {
  /** Runs that ended for no fault of the job; the newest 50 of them are in `causes`. */
  readonly interruptions: number;
  /** Number of its last claim; it counts on through redrives. */
  readonly fence: number;
  /** What it did outside, or may have done; a redrive does nothing of it that is `done` again. */
  readonly effects: readonly Pick<Effect, 'key' | 'state'>[];
}

export interface Evidence extends Facts {
  readonly effects: readonly Effect[];
  /** `perhaps`: an effect began and nobody knows how it ended. */
  readonly effectApplied: 'no' | 'perhaps' | 'yes';
}

export async function readEvidence(records: RecordStore, queue: string, job: StoredJob): Promise<Evidence> {
  const id = job.id ?? '';
  const [[stored], effects] = await Promise.all([records.get([runKey(queue, id)]), readEffects(records, queue, id)]);
  const { run, failures, causes, interrupted, deaths, suspect } = readRun(stored?.value);
  return {
    run,
    failures,
    interruptions: interrupted,
    causes,
    deaths,
    suspect,
    fence: job.attemptsStarted,
    effects,
    effectApplied: effects.some(({ state }) => state === 'done') ? 'yes' : effects.length > 0 ? 'perhaps' : 'no',
  };
}

/** For people, a line a fact; facts that say nothing are left out. */
export function evidenceLines(evidence: Facts): string[] {
  const at = (ms: number): string => new Date(ms).toISOString();
  const { run, failures, interruptions, causes, deaths, suspect, fence, effects } = evidence;
  const known = causes.map(({ cause, at: ms }) => `${cause} ${at(ms)}`).join(', ');
  return [
    `run ${run}, fence ${fence}`,
    ...failures.map(({ code, message, at: ms }) => `failed before: ${at(ms)} ${code}: ${message}`),
    ...(interruptions === 0 ? [] : [`interrupted ${interruptions} times: ${known}`]),
    ...(deaths === 0 ? [] : [`its child died ${deaths} times`]),
    ...(suspect ? ['runs alone: it was in a worker or child that died'] : []),
    effects.length === 0
      ? 'no effect was begun'
      : `effects: ${effects.map(({ key, state }) => `${key} (${state === 'done' ? 'done' : 'may have happened'})`).join(', ')}`,
  ];
}
