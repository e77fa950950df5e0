/** What a supervisor and its worker processes say to each other, over the channel Node opens between them. */
import { z } from 'zod';

export const stateEveryMs = 1_000;

/** From a worker, every second. */
const state = z.object({
  kind: z.literal('state'),
  /** Why it should be started anew; null when it works. */
  live: z.string().nullable(),
  /** Why it claims nothing; null when it claims. */
  ready: z.string().nullable(),
  active: z.number(),
  memoryMb: z.number(),
});
const aFamily = z.custom<object>((value) => typeof value === 'object' && value !== null);
const metrics = z.object({ kind: z.literal('metrics'), id: z.number(), families: z.array(aFamily) });

export const fromWorker = z.discriminatedUnion('kind', [state, metrics]);
export type WorkerState = z.output<typeof state>;
export type FromWorker = z.output<typeof fromWorker>;

/** From the supervisor: answer with `metrics` and this id. */
export const fromSupervisor = z.object({ kind: z.literal('metrics'), id: z.number() });
