/** The states that are kept at month ends: which of them hold is said by the head of the table, never by what lies there. */
import { z } from 'zod';
import type { JobDocuments } from '../ports.ts';
import { validDays } from './replay.ts';

export const checkpointList = z.array(z.object({ day: z.string(), label: z.string() }));
export type CheckpointList = z.output<typeof checkpointList>;

const kept = z.object({ state: z.unknown(), names: z.record(z.string(), z.string()) });

export interface Start {
  readonly day: string;
  readonly state: unknown;
  /** Team id → its latest name so far. */
  readonly names: Readonly<Record<string, string>>;
}

const atOnce = 50;

function idOf(table: string, { day, label }: CheckpointList[number]): string {
  return `${table}/${label}/${day}`;
}

/** The latest state that a change from `from` on leaves valid, and the list of those that stay valid with it. */
export async function findStart(
  documents: JobDocuments,
  table: string,
  list: CheckpointList,
  options: { readonly from: string | undefined; readonly reachesBackDays: number; readonly until: string },
): Promise<{ readonly start: Start | undefined; readonly valid: CheckpointList }> {
  const days = validDays(
    list.map(({ day }) => day),
    options.from,
    options.reachesBackDays,
  );
  const valid = list.filter(({ day }) => days.includes(day) && day <= options.until);
  const last = valid.at(-1);
  const found = last === undefined ? undefined : await documents.get('ranking_checkpoints', idOf(table, last));
  if (last === undefined || found === undefined) return { start: undefined, valid: [] };
  return { start: { day: last.day, ...kept.parse(found) }, valid };
}

export async function keepCheckpoints(
  documents: JobDocuments,
  table: string,
  label: string,
  made: readonly { readonly day: string; readonly state: unknown; readonly names: Readonly<Record<string, string>> }[],
): Promise<CheckpointList> {
  for (let at = 0; at < made.length; at += atOnce) {
    const some = made.slice(at, at + atOnce);
    await documents.putMany(
      'ranking_checkpoints',
      some.map(({ day, state, names }) => ({ _id: idOf(table, { day, label }), state, names })),
    );
  }
  return made.map(({ day }) => ({ day, label }));
}

/** Those of `before` that `now` no longer names. */
export async function dropCheckpoints(
  documents: JobDocuments,
  table: string,
  before: CheckpointList,
  now: CheckpointList,
): Promise<void> {
  const named = new Set(now.map((one) => idOf(table, one)));
  const gone = before.map((one) => idOf(table, one)).filter((id) => !named.has(id));
  for (let at = 0; at < gone.length; at += 1_000)
    await documents.remove('ranking_checkpoints', gone.slice(at, at + 1_000));
}
