/** Brings the entries of a feed into the documents: what is new, what has changed, who told a story first. */
import { z } from 'zod';
import type { JobDocuments, StoredDocument } from '../ports.ts';
import { dateQualities } from './dates.ts';
import type { Entry } from './entry.ts';

/** An entry as it is stored and read. */
const storedEntry = z.looseObject({
  _id: z.string(),
  content: z.string(),
  updated: z.string().nullable(),
  firstSeenAt: z.string(),
  revision: z.number(),
  isLead: z.boolean(),
  dateQuality: z.enum(dateQualities),
});
type Stored = z.output<typeof storedEntry>;

export interface Counts {
  readonly added: number;
  readonly updated: number;
  readonly unchanged: number;
}

/** Values of one `in`. */
const perQuery = 100;
/** Puts of claims at the same time. */
const atOnce = 8;

/**
 * Stores what differs, in any number of runs: one that died in between is completed by the next, and a run over what is
 * stored already writes nothing. `now` is when an entry is first seen, and its date where the feed gives none.
 */
export async function storeEntries(documents: JobDocuments, entries: readonly Entry[], now: number): Promise<Counts> {
  const stored = new Map<string, Stored>();
  for (const document of await findAll(
    documents,
    'news',
    entries.map(({ _id }) => _id),
  ))
    stored.set(document._id, storedEntry.parse(document));
  const fresh = entries.filter(({ _id }) => !stored.has(_id));
  const changed = entries.filter((entry) => isNewer(entry, stored.get(entry._id)));
  const writing = [...fresh, ...changed];
  const leads = await claimStories(documents, writing);
  await documents.putMany(
    'news',
    writing.map((entry) => toDocument(entry, stored.get(entry._id), leads.has(entry._id), now)),
  );
  return { added: fresh.length, updated: changed.length, unchanged: entries.length - writing.length };
}

/** Another content, and not one that the feed itself says is older: caches of publishers hand out old states. */
function isNewer(entry: Entry, stored: Stored | undefined): boolean {
  if (stored === undefined || stored.content === entry.content) return false;
  return entry.updated === null || stored.updated === null || entry.updated >= stored.updated;
}

function toDocument(entry: Entry, stored: Stored | undefined, isLead: boolean, now: number) {
  const firstSeenAt = stored?.firstSeenAt ?? new Date(now).toISOString();
  const date = entry.published ?? firstSeenAt;
  return { ...entry, date, firstSeenAt, isLead, revision: (stored?.revision ?? 0) + 1 };
}

/**
 * The ids of those entries that tell their story first: the feed that claims it owns it, whoever else links the same
 * address. Entries of one feed are never each other's copies, even when all link to one page.
 */
async function claimStories(documents: JobDocuments, entries: readonly Entry[]): Promise<ReadonlySet<string>> {
  const stories = new Map(entries.filter(isShared).map(({ story, feed }) => [story, feed]));
  const owners = new Map<string, unknown>();
  for (const { _id, feed } of await findAll(documents, 'news_stories', [...stories.keys()])) owners.set(_id, feed);
  const open = [...stories].filter(([story]) => !owners.has(story));
  for (let from = 0; from < open.length; from += atOnce)
    await Promise.all(
      open.slice(from, from + atOnce).map(async ([story, feed]) => {
        const isOurs = await documents.put('news_stories', { _id: story, feed }, { version: 0 });
        owners.set(story, isOurs ? feed : (await documents.get('news_stories', story))?.['feed']);
      }),
    );
  return new Set(
    entries.filter((entry) => !isShared(entry) || owners.get(entry.story) === entry.feed).map(({ _id }) => _id),
  );
}

/** Whether other feeds can tell the story too: it has an address. */
function isShared({ _id, story }: Entry): boolean {
  return story !== _id;
}

async function findAll(documents: JobDocuments, collection: string, ids: readonly string[]): Promise<StoredDocument[]> {
  const found: StoredDocument[] = [];
  for (let from = 0; from < ids.length; from += perQuery) {
    const filter = { _id: { in: ids.slice(from, from + perQuery) } };
    for await (const document of documents.stream(collection, { filter })) found.push(document);
  }
  return found;
}
