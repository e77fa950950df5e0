/** The metrics of several processes as one exposition: every sample with the number of its process. */
import { AggregatorRegistry } from 'prom-client';
import { z } from 'zod';

const family = z.looseObject({ values: z.array(z.looseObject({ labels: z.record(z.string(), z.unknown()) })) });

/** Nothing is added up (each sample is alone with its number): a count of a queue that every process reports is the same jobs. */
export async function mergeFamilies(
  sources: readonly { readonly process: number; readonly families: readonly object[] }[],
): Promise<string> {
  const labelled = sources.map(({ process, families }) =>
    families.map((one) => {
      const { values, aggregator: _aggregator, ...rest } = family.parse(one);
      return {
        ...rest,
        aggregator: 'sum',
        values: values.map((value) => ({ ...value, labels: { ...value.labels, process } })),
      };
    }),
  );
  return AggregatorRegistry.aggregate(labelled).metrics();
}
