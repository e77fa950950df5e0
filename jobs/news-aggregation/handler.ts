import { defineHandler, type JobContext } from '../define.ts';
import { JobError } from '../errors.ts';
import { enqueueDue } from './due.ts';
import { afterFailure, changeFeed } from './feeds.ts';
import newsAggregation from './job.ts';

const nothing = { added: 0, updated: 0, unchanged: 0, problems: [] };

export default defineHandler(newsAggregation, {
  async run({ feedUrl, follow }, ctx) {
    if (feedUrl === undefined) return { ...nothing, feeds: await enqueueDue(ctx, Date.now()) };
    // Before the fetch: a feed that fails today is followed all the same.
    if (follow !== undefined) await changeFeed(ctx.documents, feedUrl, Date.now(), () => ({ isFollowed: follow }));
    if (follow === false) return nothing;
    try {
      // Parsers of every format: loaded by the first feed, not by every worker.
      const { refresh } = await import('./refresh.ts');
      return await refresh(feedUrl, ctx);
    } catch (error) {
      await note(error, feedUrl, ctx);
      throw error;
    }
  },
});

/** A failure that ends the job, or puts it off, makes the feed rarer; one that is retried in a moment does not. */
async function note(
  error: unknown,
  feedUrl: string,
  { documents, attempt, maxAttempts, signal }: JobContext,
): Promise<void> {
  if (signal.aborted) return;
  const verdict = error instanceof JobError ? error.verdict : undefined;
  const isFinal = verdict?.kind === 'dead' || verdict?.kind === 'later' || attempt >= maxAttempts;
  if (!isFinal) return;
  const message = error instanceof JobError ? `${error.code}: ${error.message}` : 'UNEXPECTED';
  const delayMs = verdict?.kind === 'later' ? verdict.delayMs : 0;
  const now = Date.now();
  await changeFeed(documents, feedUrl, now, afterFailure(now, message, delayMs));
}
