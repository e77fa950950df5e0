/** What a job's effects leave in the records (`once:<queue>:<id>:<key>`): begun, then done. `workers/services/once.ts` writes them. */
import { z } from 'zod';
import type { RecordStore } from './backend.ts';

export const onceRecord = z.discriminatedUnion('state', [
  z.object({ state: z.literal('begun'), fence: z.number() }),
  z.object({ state: z.literal('done'), fence: z.number(), result: z.unknown().default(null) }),
]);

/** One effect of a job. `begun`: nobody came back to say how it ended, so it may have happened. */
export interface Effect {
  readonly key: string;
  readonly state: 'begun' | 'done';
  /** Of the claim that began or confirmed it. */
  readonly fence: number;
}

export const oncePrefix = (queue: string, id: string): string => `once:${queue}:${id}:`;

/** In the order of their keys. Walks the store on Redis: for one job that somebody looks at. */
export async function readEffects(records: RecordStore, queue: string, id: string): Promise<Effect[]> {
  const prefix = oncePrefix(queue, id);
  return (await records.list(prefix)).map(({ key, value }) => {
    const { state, fence } = onceRecord.parse(JSON.parse(value));
    return { key: key.slice(prefix.length), state, fence };
  });
}
