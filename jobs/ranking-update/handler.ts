import { z } from 'zod';
import { defineHandler } from '../define.ts';
import { giveUp } from '../errors.ts';
import job from './job.ts';
import { type Updated, updateRanking } from './update.ts';

export default defineHandler(job, {
  env: z.object({
    RANKING_MIN_MATCHES: z.coerce
      .number()
      .int()
      .min(1)
      .max(100)
      .default(8)
      .describe('Matches within the window of three to four years from which on an ICC ranking lists a team.'),
  }),
  open: ({ RANKING_MIN_MATCHES }) => ({ minMatches: RANKING_MIN_MATCHES, close: () => undefined }),
  async run({ format, method, asOf: asked }, ctx, { minMatches }) {
    const today = new Date().toISOString().slice(0, 10);
    const asOf = asked ?? today;
    if (asOf > today) throw giveUp('PAYLOAD_INVALID', `asOf: expected a day that has come (${today}), got ${asOf}`);
    if (format === undefined) {
      for (const each of ['odi', 't20i', 'test'] as const)
        await ctx.enqueue(job, { format: each, method, ...(asked && { asOf: asked }) }, { key: each });
      return { rows: 0, asOf, changed: 0, tables: [] };
    }
    const updated: Updated[] = [];
    for (const gender of ['male', 'female'] as const) {
      const one = await updateRanking({ format, gender, method, asOf, isCurrent: asOf === today, minMatches }, ctx);
      if (one !== undefined) updated.push(one);
    }
    await ctx.documents.removePrefix('cache', 'rankings:');
    return {
      rows: updated.reduce((sum, { rows }) => sum + rows, 0),
      asOf,
      changed: updated.reduce((sum, { changed }) => sum + changed, 0),
      tables: updated.map(({ id }) => id),
    };
  },
});
