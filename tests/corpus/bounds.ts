/**
 * What the bad input of each job type may cost: how many cases there are at least (docs/reliability.md), and how long all
 * of them may take on a machine with nothing else to do. Together at most six minutes.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterAll, beforeAll, expect } from 'vitest';
import { crowding } from '../support/crowding.ts';

export const corpora = {
  'data-export': { cases: 60, withinMs: 20_000 },
  'document-ocr': { cases: 135, withinMs: 90_000 },
  'email-sending': { cases: 110, withinMs: 15_000 },
  'image-processing': { cases: 160, withinMs: 60_000 },
  matches: { cases: 120, withinMs: 15_000 },
  'news-aggregation': { cases: 100, withinMs: 20_000 },
  'notification-sending': { cases: 80, withinMs: 10_000 },
  schedules: { cases: 60, withinMs: 15_000 },
  'video-transcoding': { cases: 140, withinMs: 90_000 },
  webhooks: { cases: 90, withinMs: 20_000 },
} as const;

/** What the process may grow by, cases that it makes itself included. */
const growthBytes = 700_000_000;
/**
 * What the loop may stand still for: a lease is renewed beside it, and everything else waits. The first file of a process
 * that needs a handler's modules has them compiled by the test runner meanwhile, which takes up to 1.3 s; 0.1 s otherwise.
 */
const standstillMs = 2_000;

/**
 * Fails the file when its cases take too long in all, or let the process that runs them, the worker, grow or stand still.
 * To be called once, before the tests; a file with two corpora names both.
 */
export function boundCorpus(...names: readonly (keyof typeof corpora)[]): void {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  let startedAt = 0;
  let rssBytes = 0;
  beforeAll(() => {
    startedAt = performance.now();
    rssBytes = process.memoryUsage.rss();
    delay.enable();
  });
  afterAll(() => {
    delay.disable();
    const tookMs = performance.now() - startedAt;
    const grownBytes = process.memoryUsage.rss() - rssBytes;
    const most = { tookMs: names.reduce((sum, name) => sum + corpora[name].withinMs, 0), standstillMs };
    const standstill = delay.max / 1e6;
    process.stdout.write(
      `${names.join(', ')}: ${(tookMs / 1_000).toFixed(1)} s, ${Math.round(grownBytes / 1e6)} MB more, loop at most ${Math.round(standstill)} ms late\n`,
    );
    expect(tookMs).toBeLessThan(most.tookMs * crowding());
    expect(standstill).toBeLessThan(most.standstillMs * crowding());
    expect(grownBytes).toBeLessThan(growthBytes);
  });
}
