import { z } from 'zod';
import { defineJob } from '../define.ts';

/** What nobody has written for so long goes: entries that left their feed, feeds that nobody fetches. */
const yearMs = 366 * 86_400_000;
const feedUrl = z
  .url({ protocol: /^https?$/, error: 'expected https://… or http://…' })
  .max(2_048)
  .refine((url) => !/^[^:]*:\/*[^/?#]*@/.test(url), {
    error: 'expected an address without user and password, which would be stored and shown',
  })
  .describe('The feed to fetch now. Without it: one job for each followed feed that is due.');
const follow = z
  .boolean()
  .describe(
    'true: fetch it from now on whenever it is due. false: fetch it no more, now neither. Absent: fetch it this once and leave that as it is.',
  );

export default defineJob({
  name: 'news-aggregation',
  aliases: ['news_aggregation'],
  summary: 'Fetch a feed (RSS, Atom, RDF, JSON Feed) and keep what is new in it.',
  payload: z
    .strictObject({ feedUrl: feedUrl.optional(), follow: follow.optional() })
    .refine(({ feedUrl: url, follow: wish }) => url !== undefined || wish === undefined, {
      path: ['follow'],
      error: 'expected a feedUrl beside it: which feed?',
    }),
  result: z.object({
    added: z.number().int().describe('Entries that are new in this feed.'),
    updated: z.number().int().describe('Entries of which the feed says something else than before.'),
    unchanged: z.number().int().describe('Entries that are stored as they are; all of the last answer after a 304.'),
    problems: z.array(z.string()).describe('What could not be kept as the feed says it.'),
    feeds: z.number().int().optional().describe('Without feedUrl: how many feeds were due.'),
  }),
  // One fetch of a feed at a time in the whole fleet: two would take turns in overwriting what they found.
  policy: { timeoutMs: 120_000, perKey: { concurrency: 1 } },
  limitKey: ({ feedUrl: url }) => url,
  collections: {
    feeds: { indexes: [['isFollowed', 'isDisabled', 'nextAt']], ttlMs: yearMs },
    news: { indexes: [['isLead', 'date'], ['feed', 'date'], ['story']], ttlMs: yearMs },
    news_stories: { ttlMs: yearMs },
  },
  schedule: { cron: '*/5 * * * *', timeZone: 'UTC', payload: {}, tenants: 'feeds' },
});
