/** Writes the matches of a source that are newer than the kept ones. Repeating it changes nothing and answers the same. */
import { z } from 'zod';
import { everything, findIntake, type Intake, joinTouched, openIntake, type Touched } from '../cricket/changes.ts';
import { type KeptMatch, keptMatch } from '../cricket/match.ts';
import type { JobDocuments } from '../ports.ts';
import { compareRevisions } from './revisions.ts';
import type { FoundMatch } from './source.ts';

export type What = 'added' | 'replaced' | 'ignored';

/** What is kept of a match, as far as it decides. */
const kept = keptMatch
  .pick({
    revision: true,
    created: true,
    sha256: true,
    written: true,
    season: true,
    format: true,
    gender: true,
    date: true,
  })
  .extend({ _id: z.string(), _version: z.int() });
type Kept = z.output<typeof kept>;

const idsAtOnce = 100;
/** A store commits those that come together together. */
const writesAtOnce = 16;

/** The newest file of each match, by id. */
export function newestOf(found: Iterable<FoundMatch>): Map<string, FoundMatch> {
  const newest = new Map<string, FoundMatch>();
  for (const one of found) {
    const before = newest.get(one.match._id);
    if (before === undefined || compareRevisions(revisionOf(one), revisionOf(before)) > 0)
      newest.set(one.match._id, one);
  }
  return newest;
}

function revisionOf({ match: { revision, created }, sha256 }: FoundMatch) {
  return { revision, created, sha256 };
}

/** What is kept of these matches now. */
async function keptOf(documents: JobDocuments, ids: readonly string[]): Promise<Map<string, Kept>> {
  const found = new Map<string, Kept>();
  for (let at = 0; at < ids.length; at += idsAtOnce) {
    const filter = { _id: { in: ids.slice(at, at + idsAtOnce) } };
    for await (const document of documents.stream('matches', { filter })) {
      const one = kept.parse(document);
      found.set(one._id, one);
    }
  }
  return found;
}

/** What a file is to what is kept; `added` or `replaced` also when an earlier run of this job has written it. */
function whatIs(
  file: FoundMatch,
  before: Kept | undefined,
  job: string,
): { readonly what: What; readonly write: boolean } {
  if (before === undefined) return { what: 'added', write: true };
  const order = compareRevisions(revisionOf(file), before);
  if (order > 0) return { what: 'replaced', write: true };
  return { what: order === 0 && before.written.job === job ? before.written.as : 'ignored', write: false };
}

/** Scopes and seasons whose results change with this match, as it will be and as it was. */
function touched(file: FoundMatch, before: Kept | undefined): Touched {
  const changes = (before === undefined ? [file.match] : [file.match, before]).map(
    ({ format, gender, date, season }): Touched => ({
      from: { [everything]: date, ...(format === null ? {} : { [`${format}/${gender}`]: date }) },
      seasons: [season],
    }),
  );
  return changes.reduce(joinTouched);
}

export interface Keeping {
  readonly documents: JobDocuments;
  readonly job: string;
  /** SHA-256 of the source: a later job over the same bytes goes on where one was left. */
  readonly sourceSha256: string;
  /** Called once, before the first match is written; answers `object:<key>` of the kept source. */
  readonly keepSource: () => Promise<string>;
  readonly signal: AbortSignal;
  readonly onWritten: (done: number, of: number) => void;
}

export type Counts = Readonly<Record<What, number>>;

/** The counts, and the intake that must be followed up and closed; undefined when nothing changed. */
export async function keepMatches(
  files: ReadonlyMap<string, FoundMatch>,
  keeping: Keeping,
): Promise<{ readonly counts: Counts; readonly intake: Intake | undefined }> {
  const { documents, job, signal, sourceSha256 } = keeping;
  const before = await keptOf(documents, [...files.keys()]);
  const counts = { added: 0, replaced: 0, ignored: 0 };
  const changes: FoundMatch[] = [];
  for (const file of files.values()) {
    const { what, write } = whatIs(file, before.get(file.match._id), job);
    if (write) changes.push(file);
    else counts[what] += 1;
  }
  if (changes.length === 0) return { counts, intake: await findIntake(documents, sourceSha256) };
  const all = changes.map((file) => touched(file, before.get(file.match._id))).reduce(joinTouched);
  const intake = await openIntake(documents, { _id: sourceSha256, job, ...all });
  const object = await keeping.keepSource();
  for (let at = 0; at < changes.length; at += writesAtOnce) {
    signal.throwIfAborted();
    const some = changes.slice(at, at + writesAtOnce);
    const written = some.map((file) => keepOne(file, before.get(file.match._id), { documents, job, object }));
    for (const what of await Promise.all(written)) counts[what] += 1;
    keeping.onWritten(at + some.length, changes.length);
  }
  return { counts, intake };
}

/** Compares what it replaces, so that of two jobs at once the newer revision stays. */
async function keepOne(
  file: FoundMatch,
  seen: Kept | undefined,
  { documents, job, object }: { readonly documents: JobDocuments; readonly job: string; readonly object: string },
): Promise<What> {
  const { match, sha256, entry } = file;
  for (let before = seen; ; before = (await keptOf(documents, [match._id])).get(match._id)) {
    const { what, write } = whatIs(file, before, job);
    if (!write || what === 'ignored') return what;
    const document: KeptMatch = { ...match, sha256, source: { object, entry }, written: { job, as: what } };
    if (await documents.put('matches', document, { version: before?._version ?? 0 })) return what;
  }
}
