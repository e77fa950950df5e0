/**
 * What changed since somebody last looked. Whoever writes matches opens an intake before its first match and closes it
 * after it has noted the change and enqueued what follows; so a crash in between leaves either the intake, which readers
 * take for a change, or the note. Versions of a note only grow: results carry the one they were made from, and an older
 * one never replaces a newer.
 */
import { z } from 'zod';
import type { JobDocuments } from '../ports.ts';

/** Every scope's changes are also noted here: what statistics are made from. */
export const everything = 'all';

/** Notes older than these are forgotten; who has not looked since then recomputes from the start. */
const keptChanges = 50;

const note = z.object({
  _version: z.int(),
  /** `version` of the note with which matches from the day `from` on changed. */
  changes: z.array(z.object({ version: z.int(), from: z.string() })),
});

const intake = z.object({
  _id: z.string(),
  _version: z.int(),
  job: z.string(),
  /** Scope → the earliest day whose matches may be changed. */
  from: z.record(z.string(), z.string()),
  seasons: z.array(z.string()),
});

export type Intake = Omit<z.output<typeof intake>, '_version'>;
/** What a match changes. */
export type Touched = Pick<Intake, 'from' | 'seasons'>;

/** The version of a scope's note: 0 before anything was noted. */
export async function inputsOf(documents: JobDocuments, scope: string): Promise<number> {
  return (await documents.get('match_changes', scope))?._version ?? 0;
}

/** The earliest day from which matches of the scope may differ from those of the version `since`; undefined: none. `''`: all of them. */
export async function changedSince(
  documents: JobDocuments,
  scope: string,
  since: number,
): Promise<{ readonly inputs: number; readonly from: string | undefined }> {
  const found = await documents.get('match_changes', scope);
  const { _version: inputs, changes } = found === undefined ? { _version: 0, changes: [] } : note.parse(found);
  // After the note: an intake that was closed in between has written its change, and the next look sees it.
  const open = (await openIntakes(documents)).flatMap(({ from }) => from[scope] ?? []);
  const oldest = changes[0]?.version ?? inputs + 1;
  const noted = changes.filter(({ version }) => version > since).map(({ from }) => from);
  const isForgotten = since < oldest - 1;
  return { inputs, from: isForgotten ? '' : [...noted, ...open].toSorted()[0] };
}

/** Answers the new version. */
export async function noteChange(documents: JobDocuments, scope: string, from: string): Promise<number> {
  for (;;) {
    const found = await documents.get('match_changes', scope);
    const { _version: version, changes } = found === undefined ? { _version: 0, changes: [] } : note.parse(found);
    const more = [...changes, { version: version + 1, from }].slice(-keptChanges);
    if (await documents.put('match_changes', { _id: scope, changes: more }, { version })) return version + 1;
  }
}

async function openIntakes(documents: JobDocuments): Promise<Intake[]> {
  const intakes: Intake[] = [];
  for await (const document of documents.stream('match_intakes', {})) intakes.push(intake.parse(document));
  return intakes;
}

/** What an earlier run over the same bytes left open, if any. */
export async function findIntake(documents: JobDocuments, id: string): Promise<Intake | undefined> {
  const found = await documents.get('match_intakes', id);
  return found === undefined ? undefined : intake.parse(found);
}

/** Opens one, or adds to the one that is open. Answers what is open now. */
export async function openIntake(documents: JobDocuments, wanted: Intake): Promise<Intake> {
  for (;;) {
    const found = await documents.get('match_intakes', wanted._id);
    const before = found === undefined ? undefined : intake.parse(found);
    const merged = before === undefined ? wanted : { ...wanted, ...joinTouched(before, wanted) };
    if (await documents.put('match_intakes', merged, { version: before?._version ?? 0 })) return merged;
  }
}

export async function closeIntake(documents: JobDocuments, id: string): Promise<void> {
  await documents.remove('match_intakes', [id]);
}

/** Scopes with the earliest day, and seasons, of both. */
export function joinTouched(a: Touched, b: Touched): Touched {
  const from: Record<string, string> = { ...a.from };
  for (const [scope, day] of Object.entries(b.from)) {
    const other = from[scope];
    from[scope] = other === undefined || day < other ? day : other;
  }
  return { from, seasons: [...new Set([...a.seasons, ...b.seasons])].toSorted() };
}
