/** Removes what is left of reviews whose 45 days are over, pictures first, and names in the index that stand for nothing. */
import type { ObjectStore } from '../runtime/object-store.ts';
import type { Backend, Chore } from './backend.ts';
import { daysKept, type OpenName, openNames, reviewIndex } from './review-index.ts';
import { deleteReviewObjects, readReviews } from './reviews.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** Days looked at behind the last one that is kept: a fleet may have been off. */
const daysBehind = 30;
const atOnce = 200;

interface SweepParts {
  readonly backend: Pick<Backend, 'records' | 'now'>;
  readonly objects: ObjectStore;
}

/** Every hour. */
export function reviewSweep(parts: SweepParts): Chore {
  return {
    name: 'expired reviews',
    everyMs: hourMs,
    async run(signal) {
      const now = await parts.backend.now();
      for (let back = daysKept; back < daysKept + daysBehind && !signal.aborted; back += 1)
        await removeExpired(now - back * dayMs, parts, signal);
      if (!signal.aborted) await closeStale(now, parts, signal);
    },
  };
}

/** Of a day that has ended for good every record is gone. */
async function removeExpired(day: number, { backend, objects }: SweepParts, signal: AbortSignal): Promise<void> {
  const index = reviewIndex(backend.records);
  for (const review of await index.keptOn(day)) {
    if (signal.aborted) return;
    await deleteReviewObjects(objects, review.tenant, review.id);
    await index.forget(review);
  }
}

/** A process that died between name and record, or between decision and name, leaves a name that says nothing. */
async function closeStale(now: number, { backend }: SweepParts, signal: AbortSignal): Promise<void> {
  const index = reviewIndex(backend.records);
  const old = (await openNames(backend.records, now)).filter(({ openedAt }) => now - openedAt > hourMs);
  for (let from = 0; from < old.length && !signal.aborted; from += atOnce) {
    const page: readonly OpenName[] = old.slice(from, from + atOnce);
    const found = await readReviews(backend.records, page);
    for (const [place, name] of page.entries()) {
      const review = found[place];
      if (review?.state !== 'open' || review.openedAt !== name.openedAt) await index.close(name);
    }
  }
}
