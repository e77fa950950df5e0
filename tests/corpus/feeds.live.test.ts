/** Feeds that nobody should serve: each ends as it must, in time, with nothing left behind and nothing stored that acts. */
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import handler from '../../jobs/news-aggregation/handler.ts';
import { runJob } from '../../workers/testing.ts';
import { openReceiver, type Receiver } from '../support/receivers.ts';
import { boundCorpus, corpora } from './bounds.ts';
import { type FeedCase, feedCases } from './feeds.ts';

boundCorpus('news-aggregation');

/** Of one case; a busy machine included. */
const limitMs = 5_000;
const shown = z.object({
  title: z.string(),
  summary: z.string(),
  url: z.string().nullable(),
  published: z.string().nullable(),
});
let receiver: Receiver;
let serving: FeedCase;
beforeAll(async () => {
  receiver = await openReceiver((response) => {
    const { status = 200, headers, body = () => '', isEndless = false } = serving;
    response.writeHead(status, headers);
    if (!isEndless) return response.end(body());
    const bytes = body();
    const more = (): void => {
      if (response.destroyed) return;
      if (response.write(bytes)) setImmediate(more);
      else response.once('drain', more);
    };
    return more();
  });
});
afterAll(() => receiver.close());

const scratch = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('jobfleet-test-'));

test('there are enough of them, each with a name of its own', () => {
  expect(feedCases.length).toBeGreaterThanOrEqual(corpora['news-aggregation'].cases);
  expect(new Set(feedCases.map(({ name }) => name)).size).toBe(feedCases.length);
});

test.each(feedCases)('$name', async (one) => {
  serving = one;
  const before = await scratch();
  const startedAt = performance.now();
  await using run = await runJob(handler, { feedUrl: receiver.url }, { http: { allow: [receiver.host] } });
  const tookMs = performance.now() - startedAt;
  const got = 'code' in run.outcome ? run.outcome.code : run.outcome.state;
  expect(one.ends, run.error?.message).toContain(got);
  expect(tookMs).toBeLessThan(limitMs);
  const { items } = await run.documents.page('news', { limit: 1_000 });
  expect(items.length).toBe(one.entries ?? items.length);
  // Only what ends well has an effect.
  expect(items.length === 0 || got === 'done').toBe(true);
  for (const { title, summary, url, published } of items.map((item) => shown.parse(item))) {
    expect(title).not.toMatch(/<[a-z/!]|\p{Cc}/iu);
    expect(summary).not.toMatch(/<(?:script|style|iframe|svg|math|form|meta|base|img)|\son\w+\s*=|javascript:/i);
    expect(url === null || /^https?:\/\/[^@\s]+$/.test(url)).toBe(true);
    expect(published === null || Date.parse(published) < Date.now() + 2 * 86_400_000).toBe(true);
  }
  await run.close();
  expect((await scratch()).filter((name) => !before.includes(name))).toEqual([]);
});
