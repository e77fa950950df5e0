/** What the schedule does: one job for every followed feed whose time has come. */
import type { JobContext } from '../define.ts';
import { changeFeed } from './feeds.ts';
import newsAggregation from './job.ts';
import { nextAt, noWishes } from './pace.ts';

/** In one tick; the rest comes with the next. */
const atMost = 1_000;

/**
 * How many feeds were due. The job is added before the feed is moved to its next time, under a key that a repeat of this
 * job uses too: a crash in between neither forgets a feed nor adds it twice.
 */
export async function enqueueDue({ documents, enqueue, signal }: JobContext, now: number): Promise<number> {
  const { items } = await documents.page('feeds', {
    filter: { isFollowed: true, isDisabled: false, nextAt: { lte: new Date(now).toISOString() } },
    sort: [{ field: 'nextAt' }],
    limit: atMost,
  });
  for (const { _id, url } of items) {
    signal.throwIfAborted();
    const feedUrl = String(url);
    await enqueue(newsAggregation, { feedUrl }, { key: _id });
    // For the time until its own job says better; with the queue stuck, the next job comes after one interval.
    await changeFeed(documents, feedUrl, now, () => ({ nextAt: nextAt(now, noWishes, {}) }));
  }
  return items.length;
}
