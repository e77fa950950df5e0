/**
 * Reviews: results that a person has to look at before they count. One record each (`review:<queue>:<id>`, 45 days):
 * open, then approved or edited, by whom and when; decided once. What was found, the correction and the pictures lie in
 * the object store under `t/<tenant>/reviews/<id>/`, so that a review outlives its job, which stays for a day.
 */
import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { z } from 'zod';
import type { ObjectStore } from '../runtime/object-store.ts';
import type { RecordStore } from './backend.ts';
import { readAll } from './operator-record.ts';
import { nextOpen, type OpenName, openNames, reviewIndex } from './review-index.ts';

/** How long a review is kept from the moment it was opened, decided or not. */
const reviewMs = 45 * 86_400_000;

const stored = z.object({
  state: z.enum(['open', 'approved', 'edited']),
  id: z.string(),
  queue: z.string(),
  tenant: z.string(),
  /** Epoch ms. */
  openedAt: z.number(),
  /** 0 to 1. */
  confidence: z.number(),
  issues: z.array(z.string()),
  /** `object:<key>`. */
  pages: z.array(z.string()),
  /** Who decided: the name that was given, and the id of the API key. */
  by: z.string().optional(),
  keyId: z.string().optional(),
  decidedAt: z.number().optional(),
  /** Key of the corrected data. */
  correction: z.string().optional(),
});
export type Review = z.output<typeof stored>;

export interface ReviewFacts {
  readonly queue: string;
  /** As it is outside. */
  readonly id: string;
  readonly tenant: string;
}

export interface ReviewData {
  readonly data: Readonly<Record<string, unknown>>;
  readonly issues: readonly string[];
  readonly confidence: number;
  readonly pages: readonly string[];
}

export interface Decision {
  readonly by: string;
  readonly keyId: string;
  /** The whole corrected data; absent = approved as it is. */
  readonly corrected?: Readonly<Record<string, unknown>> | undefined;
}

interface Parts {
  readonly records: RecordStore;
  readonly objects: ObjectStore;
  /** The clock of the store of jobs, epoch ms. */
  readonly now: () => number | Promise<number>;
}

const issuesKept = 50;
const pagesKept = 20;
const dataBytes = 1_048_576;

const recordKey = (queue: string, id: string): string => `review:${queue}:${id}`;
const reviewFolder = (tenant: string, id: string): string => `t/${tenant}/reviews/${id}/`;
const foundKey = ({ tenant, id }: Pick<Review, 'tenant' | 'id'>): string => `${reviewFolder(tenant, id)}found.json`;

/** Before the job completes. Opening one that is there already changes nothing: a job may run again. */
export async function openReview(
  parts: Omit<Parts, 'objects'> & { readonly objects: Pick<ObjectStore, 'put'> },
  facts: ReviewFacts,
  request: ReviewData,
): Promise<void> {
  const { records, objects } = parts;
  const openedAt = await parts.now();
  await putJson(objects, foundKey(facts), request.data);
  const review: Review = {
    state: 'open',
    ...facts,
    openedAt,
    confidence: request.confidence,
    issues: request.issues.slice(0, issuesKept).map((issue) => issue.slice(0, 100)),
    pages: request.pages.slice(0, pagesKept),
  };
  const index = reviewIndex(records);
  // Listed first: a name without a record is dropped again, a record without a name would be found by nobody.
  await index.add(review);
  const { stored: isNew } = await records.putIfAbsent(
    recordKey(facts.queue, facts.id),
    JSON.stringify(review),
    reviewMs,
  );
  if (!isNew) await index.close(review);
}

export async function readReview(records: RecordStore, queue: string, id: string): Promise<Review | undefined> {
  const [found] = await readReviews(records, [{ queue, id }]);
  return found;
}

/** In order; undefined where there is none (any more). */
export async function readReviews(
  records: RecordStore,
  of: readonly Pick<ReviewFacts, 'queue' | 'id'>[],
): Promise<(Review | undefined)[]> {
  const found = await readAll(
    records,
    of.map(({ queue, id }) => recordKey(queue, id)),
    stored,
  );
  return found.map((entry) => entry?.value);
}

/** What the handler found, and the correction; undefined where the object store has lost it. */
export async function readReviewData(
  objects: Pick<ObjectStore, 'get'>,
  review: Review,
): Promise<{ readonly found: unknown; readonly corrected: unknown }> {
  const [found, corrected] = await Promise.all([
    getJson(objects, foundKey(review)),
    review.correction === undefined ? undefined : getJson(objects, review.correction),
  ]);
  return { found, corrected };
}

export type Decided =
  | { readonly state: 'decided'; readonly review: Review }
  | { readonly state: 'too late'; readonly review: Review };

/** Undefined for a review nobody knows (any more). Of two that decide at once one is too late. */
export async function decideReview(
  parts: Parts,
  { queue, id }: Pick<ReviewFacts, 'queue' | 'id'>,
  { by, keyId, corrected }: Decision,
): Promise<Decided | undefined> {
  const key = recordKey(queue, id);
  const [entry] = await readAll(parts.records, [key], stored);
  if (entry === undefined) return undefined;
  const { value: review, version } = entry;
  if (review.state !== 'open') return { state: 'too late', review };
  const now = await parts.now();
  // A name of its own: the correction of one who comes too late must not replace the one that counts.
  const correction =
    corrected === undefined ? undefined : `${reviewFolder(review.tenant, id)}edit-${randomUUID()}.json`;
  if (correction !== undefined) await putJson(parts.objects, correction, corrected ?? {});
  const decided: Review = {
    ...review,
    state: correction === undefined ? 'approved' : 'edited',
    by,
    keyId,
    decidedAt: now,
    ...(correction === undefined ? {} : { correction }),
  };
  const left = Math.max(60_000, review.openedAt + reviewMs - now);
  if (await parts.records.compareAndSet(key, version, JSON.stringify(decided), left)) {
    await reviewIndex(parts.records).close(review);
    return { state: 'decided', review: decided };
  }
  if (correction !== undefined) await parts.objects.delete(correction);
  const current = await readReview(parts.records, queue, id);
  return current === undefined ? undefined : { state: 'too late', review: current };
}

export interface ReviewPage {
  readonly items: readonly Review[];
  readonly cursor: string | undefined;
}

/** Open ones, the oldest first. */
export async function listOpenReviews(
  { records, now }: Pick<Parts, 'records' | 'now'>,
  filter: { readonly queue?: string | undefined; readonly tenant?: string | undefined },
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
): Promise<ReviewPage> {
  const names = (await openNames(records, await now())).filter(
    (one) => (filter.queue ?? one.queue) === one.queue && (filter.tenant ?? one.tenant) === one.tenant,
  );
  const items: Review[] = [];
  let last: OpenName | undefined;
  for (let from = nextOpen(names, cursor); from < names.length && items.length < limit; from += limit) {
    const page = names.slice(from, from + limit);
    for (const [place, review] of (await readReviews(records, page)).entries()) {
      if (items.length === limit) break;
      last = page[place];
      if (review?.state === 'open' && review.openedAt === last?.openedAt) items.push(review);
    }
  }
  const isMore = last !== undefined && nextOpen(names, last.name) < names.length;
  return { items, cursor: isMore ? last?.name : undefined };
}

/** By queue: how many are open, and when the oldest was opened. */
export async function countOpenReviews({
  records,
  now,
}: Pick<Parts, 'records' | 'now'>): Promise<ReadonlyMap<string, { readonly open: number; readonly oldestAt: number }>> {
  const counts = new Map<string, { open: number; oldestAt: number }>();
  for (const { queue, openedAt } of await openNames(records, await now())) {
    const before = counts.get(queue);
    if (before === undefined) counts.set(queue, { open: 1, oldestAt: openedAt });
    else counts.set(queue, { open: before.open + 1, oldestAt: Math.min(before.oldestAt, openedAt) });
  }
  return counts;
}

/** Deletes everything of a review that lies in the object store. */
export async function deleteReviewObjects(objects: ObjectStore, tenant: string, id: string): Promise<void> {
  for await (const { key } of objects.list(reviewFolder(tenant, id))) await objects.delete(key);
}

async function putJson(
  objects: Pick<ObjectStore, 'put'>,
  key: string,
  value: Readonly<Record<string, unknown>>,
): Promise<void> {
  await objects.put(key, Buffer.from(JSON.stringify(value)), { contentType: 'application/json', maxBytes: dataBytes });
}

async function getJson(objects: Pick<ObjectStore, 'get'>, key: string): Promise<unknown> {
  const found = await objects.get(key);
  if (found === undefined) return undefined;
  const parsed: unknown = JSON.parse((await buffer(found.body)).toString('utf8'));
  return parsed;
}
