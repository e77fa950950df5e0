/**
 * What the fleet knows of a schedule: record `sched:<type>`. It is the truth of all instances: what the newest release
 * declared, which slot was decided last, and which runs have not ended. BullMQ's scheduler is made to follow it.
 */
import { z } from 'zod';
import type { RecordStore } from './backend.ts';

const declaration = z.object({
  cron: z.string(),
  timeZone: z.string(),
  missed: z.enum(['once', 'skip', 'all']),
  overlap: z.enum(['skip', 'queue', 'replace']),
  /** The payload of every job, as JSON. */
  json: z.string(),
  attempts: z.number(),
  /** 0, or 1 where every job of the queue has one (`order: 'fair'`). */
  priority: z.number(),
  /** Since when these ticks count, epoch ms: earlier ones were not missed. */
  since: z.number(),
});
export type Declaration = z.output<typeof declaration>;

const openRun = z.object({
  slot: z.number(),
  /** The stored job. */
  id: z.string(),
  /** False from the decision until the job of a missed tick is stored. */
  stored: z.boolean(),
});
export type OpenRun = z.output<typeof openRun>;

const ended = z.object({ slot: z.number(), id: z.string(), outcome: z.string(), at: z.number() });
const skipped = z.object({ slot: z.number(), reason: z.string(), at: z.number() });

const scheduleRecord = z.object({
  /** Null once a release removed it; absent when nobody ever declared it. */
  declared: declaration.nullable().optional(),
  /** The release that declared or removed it; an older one changes nothing. */
  release: z.string().default('0'),
  /** The newest slot that was decided: run, skipped or put in line. */
  slot: z.number().optional(),
  /** Of those after `decidedFrom`, the slots that were decided: ticks may be claimed in another order than they came. */
  decided: z.array(z.number()).optional(),
  /** Every slot up to this one counts as decided. Absent where an older release wrote: then `slot`. */
  decidedFrom: z.number().optional(),
  /** Let to run and not ended, the oldest first; the first one has its turn. */
  open: z.array(openRun).default([]),
  /** The newest run that is over: `done`, `dead`, `cancelled`, or `gone` when its job was removed. */
  last: ended.optional(),
  /** The newest tick that did not run, and why. */
  skipped: skipped.optional(),
});
export type ScheduleRecord = z.output<typeof scheduleRecord>;

const noSchedule: ScheduleRecord = { release: '0', open: [] };

/** A tick later than this was missed (`missed: 'skip'`) and is an alert. */
export const lateAfterMs = 60_000;
const removedTtlMs = 45 * 86_400_000;
const mostTries = 50;

export const scheduleKey = (type: string): string => `sched:${type}`;
export const pauseKey = (type: string): string => `pause:schedule:${type}`;

/** A record that is not ours to read counts as none: it must not stop a schedule for good. */
export function readRecord(value: string | undefined): ScheduleRecord {
  const parsed = scheduleRecord.safeParse(parseJson(value));
  return parsed.success ? parsed.data : noSchedule;
}

/**
 * Compare-and-set until it holds. `change` gets the record as it stands and answers what to write, or undefined to leave
 * it; the answer of the last call is returned. Throws when fifty others in a row were faster.
 */
export async function changeRecord<Answer extends { readonly write?: ScheduleRecord | undefined }>(
  records: RecordStore,
  type: string,
  change: (record: ScheduleRecord) => Answer,
): Promise<Answer> {
  const key = scheduleKey(type);
  for (let tries = 0; tries < mostTries; tries += 1) {
    const [stored] = await records.get([key]);
    const answer = change(readRecord(stored?.value));
    if (answer.write === undefined) return answer;
    const value = JSON.stringify(answer.write);
    const ttlMs = answer.write.declared === null ? removedTtlMs : null;
    const isWritten =
      stored === undefined
        ? (await records.putIfAbsent(key, value, ttlMs)).stored
        : await records.compareAndSet(key, stored.version, value, ttlMs);
    if (isWritten) return answer;
  }
  throw new Error(`The record ${key} changed ${mostTries} times while it was being written; it is tried again`);
}

const pause = z.object({ by: z.string(), reason: z.string(), at: z.number() });
/** Who stopped a schedule, why, and since when (epoch ms). */
export type SchedulePause = z.output<typeof pause>;

/** A record that cannot be read still stops the schedule: somebody wanted it stopped. */
export function readPause(value: string | undefined): SchedulePause | undefined {
  if (value === undefined) return undefined;
  const parsed = pause.safeParse(parseJson(value));
  return parsed.success ? parsed.data : { by: 'unknown', reason: 'the record of the pause is not readable', at: 0 };
}

const indexKey = 'schedules';
const index = z.object({ types: z.array(z.string()) });

/** Every type that has, or had until lately, a schedule. */
export async function scheduledTypes(records: RecordStore): Promise<string[]> {
  const [stored] = await records.get([indexKey]);
  return typesOf(stored?.value);
}

/** Adds and drops names in the list of scheduled types. */
export async function changeTypes(
  records: RecordStore,
  change: { readonly add: readonly string[]; readonly drop: readonly string[] },
): Promise<void> {
  for (let tries = 0; tries < mostTries; tries += 1) {
    const [stored] = await records.get([indexKey]);
    const before = typesOf(stored?.value);
    const kept = before.filter((type) => !change.drop.includes(type));
    const types = [...new Set([...kept, ...change.add])].toSorted();
    if (types.length === before.length && types.every((type) => before.includes(type))) return;
    const value = JSON.stringify({ types });
    const isWritten =
      stored === undefined
        ? (await records.putIfAbsent(indexKey, value, null)).stored
        : await records.compareAndSet(indexKey, stored.version, value, null);
    if (isWritten) return;
  }
  throw new Error('The list of schedules changed too often while it was being written; it is tried again');
}

function typesOf(value: string | undefined): string[] {
  const parsed = index.safeParse(parseJson(value));
  return parsed.success ? parsed.data.types : [];
}

function parseJson(value: string | undefined): unknown {
  if (value === undefined) return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}
