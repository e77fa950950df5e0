/**
 * The run record of a job (`run:<queue>:<id>`): what happened to it that its stored form does not say. Workers note runs
 * that ended for no fault of the job and deaths of its child, a redrive why the run before failed. Healthy jobs have none.
 */
import { z } from 'zod';
import type { RecordEntry, RecordStore } from './backend.ts';
import { readFailure } from './signature.ts';

/**
 * `deploy`: handed back at shutdown. `crash`: the claim was lost, and nobody says why. `lease`: it was lost while the job ran
 * on, as its worker says. One lost claim is one of the two.
 */
export type InterruptionCause = 'crash' | 'deploy' | 'lease';

const ttlMs = 45 * 86_400_000;
const failuresKept = 10;
const messageChars = 500;

/** A field that cannot be read counts as empty: it must keep no job from running and no dead letter from a redrive. */
const runRecord = z.looseObject({
  /** 1 until the first redrive. */
  run: z.number().catch(1),
  /** Why earlier runs became dead letters, the oldest first, the newest ten. `at` is epoch ms, here and below. */
  failures: z.array(z.object({ code: z.string(), message: z.string(), at: z.number() })).catch([]),
  /** The newest 50 interruptions, the oldest first; `interrupted` counts them all. */
  causes: z
    .array(
      z.object({
        cause: z.enum(['crash', 'deploy', 'lease']),
        at: z.number(),
        /** Which lost claim of the job it was, from 1; none for a hand-back. */
        loss: z.number().optional(),
      }),
    )
    .catch([]),
  interrupted: z.number().catch(0),
  /** How many lost claims are already noted. */
  lostClaims: z.number().catch(0),
  /** Once a suspect, alone for the rest of its life. */
  suspect: z.boolean().catch(false),
  /** Deaths of its child since it was accepted or redriven. */
  deaths: z.number().catch(0),
  /** Of the newest redrive. */
  redrivenAt: z.number().optional().catch(undefined),
});
export type StoredRun = z.output<typeof runRecord>;

export const runKey = (queue: string, id: string): string => `run:${queue}:${id}`;

/** A job without a record, or with one that is not ours to read, has had no trouble. */
export function readRun(value: string | undefined): StoredRun {
  try {
    return runRecord.parse(JSON.parse(value ?? '{}'));
  } catch {
    return runRecord.parse({});
  }
}

/**
 * Compare-and-set until it holds; an update that answers what it was given writes nothing. Throws when ten others in a
 * row were faster.
 */
export async function changeRun(
  records: RecordStore,
  queue: string,
  id: string,
  update: (run: StoredRun) => StoredRun,
): Promise<StoredRun> {
  const key = runKey(queue, id);
  for (let tries = 0; tries < 10; tries += 1) {
    const [stored] = await records.get([key]);
    const before = readRun(stored?.value);
    const changed = update(before);
    if (changed === before || (await write(records, key, stored, JSON.stringify(changed)))) return changed;
  }
  throw new Error(`The record ${key} changed ten times while it was being written; it is tried again`);
}

/** A write whose answer was lost with the connection is repeated and then meets itself: what stands there is ours all the same. */
async function write(
  records: RecordStore,
  key: string,
  stored: RecordEntry | undefined,
  value: string,
): Promise<boolean> {
  if (stored === undefined) {
    const entry = await records.putIfAbsent(key, value, ttlMs);
    return entry.stored || entry.value === value;
  }
  if (await records.compareAndSet(key, stored.version, value, ttlMs)) return true;
  const [now] = await records.get([key]);
  return now?.value === value;
}

/** Notes why the run that ends here failed, and that another begins. Noting the same failure twice changes nothing. */
export function noteRedrive(
  records: RecordStore,
  queue: string,
  id: string,
  failure: { readonly reason: string; readonly at: number },
  redrivenAt: number,
): Promise<StoredRun> {
  return changeRun(records, queue, id, (run) => {
    if (run.failures.at(-1)?.at === failure.at) return run;
    const { code, message } = readFailure(failure.reason);
    const failures = [...run.failures, { code, message: message.slice(0, messageChars), at: failure.at }];
    // `deaths` counts dead children since the redrive; the workers' other notes hold for the job's whole life.
    return { ...run, run: run.run + 1, failures: failures.slice(-failuresKept), redrivenAt, deaths: 0 };
  });
}
