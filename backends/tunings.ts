/** How many attempts of a queue each worker process runs at once, set by an operator for the whole fleet. */
import { z } from 'zod';
import type { Backend, RecordStore } from './backend.ts';
import { readAll, write } from './operator-record.ts';

/** Lease memory of every worker is laid out for so many of each queue. */
export const mostConcurrency = 1_000;

const stored = z.object({
  concurrency: z.number().int().min(1).max(mostConcurrency),
  by: z.string(),
  /** Epoch ms of the store's clock. */
  at: z.number(),
});
export type Tuning = z.output<typeof stored>;

const tuneKey = (queue: string): string => `tune:${queue}`;

/** By queue; queues that nobody tuned are missing. */
export async function readTunings(records: RecordStore, queues: readonly string[]): Promise<Map<string, Tuning>> {
  const found = await readAll(records, queues.map(tuneKey), stored);
  return new Map(
    queues.flatMap((queue, index) => {
      const tuning = found[index]?.value;
      return tuning === undefined ? [] : [[queue, tuning] as const];
    }),
  );
}

/** Workers follow at once, or within five seconds when the message is lost. `concurrency` null: what each worker would do by itself. */
export async function tune(
  backend: Pick<Backend, 'control' | 'now' | 'records'>,
  queue: string,
  { concurrency, by }: { readonly concurrency: number | null; readonly by: string },
): Promise<Tuning | undefined> {
  const tuning = concurrency === null ? undefined : { concurrency, by, at: await backend.now() };
  await write(backend.records, tuneKey(queue), tuning ?? null);
  await backend.control.send({ kind: 'tune', queue });
  return tuning;
}
