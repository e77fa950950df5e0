/** A ranking of another kind: which products people compare most, counted anew from the comparisons that are kept, so that one that comes twice counts once. */
import { z } from 'zod';
import { defineHandler, defineJob } from '../jobs/define.ts';
import { memoryDocuments } from '../runtime/documents-memory.ts';
import { runJob } from '../workers/testing.ts';

const comparison = z.strictObject({
  id: z.string(),
  products: z.tuple([z.string(), z.string()]),
  category: z.string(),
});
const popularComparisons = defineJob({
  name: 'popular-comparisons',
  summary: 'Rank the pairs of products that people compare.',
  payload: z.strictObject({ seen: z.array(comparison).min(1).max(1_000) }),
  result: z.object({ pairs: z.int() }),
  collections: {
    comparisons: {},
    popular_comparisons: { indexes: [['category', 'count'], ['pair']] },
  },
});

const handler = defineHandler(popularComparisons, {
  async run({ seen }, { documents }) {
    const kept = seen.map(({ id, products, category }) => ({
      _id: id,
      pair: products.toSorted().join(' v '),
      category,
    }));
    await documents.putMany('comparisons', kept);
    const rows = new Map<string, { _id: string; pair: string; category: string; count: number }>();
    for await (const document of documents.stream('comparisons', {})) {
      const { pair, category } = z.object({ pair: z.string(), category: z.string() }).parse(document);
      rows.set(pair, { _id: pair, pair, category, count: 1 + (rows.get(pair)?.count ?? 0) });
    }
    await documents.putMany('popular_comparisons', [...rows.values()]);
    return { pairs: rows.size };
  },
});

const documents = memoryDocuments(popularComparisons.collections);
const seen = ['Nexon v Creta', 'Creta v Nexon', 'Creta v Seltos'].map((pair, at) => {
  const [one = '', other = ''] = pair.split(' v ');
  return { id: `c${at}`, products: [one, other], category: 'suv' };
});
for (let times = 0; times < 2; times += 1) await (await runJob(handler, { seen }, { documents })).close();
const { items } = await documents.of('-').page('popular_comparisons', {
  filter: { category: 'suv' },
  sort: [{ field: 'count', descending: true }],
  limit: 100,
});
process.stdout.write(`${JSON.stringify(items.map(({ pair, count }) => [pair, count]))}\n`);
