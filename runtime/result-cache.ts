/**
 * The cache of aggregation results: one document for each question, under the topic it is about, so that a job that changes
 * a topic drops all of its answers by their prefix. An answer lives as long as its class says, if nobody drops it before.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { TenantDocuments } from './documents.ts';

const minuteMs = 60_000;

/** How long an answer may be kept, in ms. `minute` is for statistics, which are at most 60 s old for their readers. */
export const cacheClasses = {
  minute: minuteMs,
  short: 5 * minuteMs,
  medium: 30 * minuteMs,
  long: 60 * minuteMs,
  day: 24 * 60 * minuteMs,
} as const;

/** What answers are about. The jobs that change a topic call `removePrefix('cache', '<topic>:')`. */
export type CacheTopic = 'news' | 'rankings' | 'stats';

export interface Question {
  readonly topic: CacheTopic;
  readonly keep: keyof typeof cacheClasses;
  /** Everything the answer depends on besides the topic. */
  readonly asked: unknown;
}

/** A fresh answer, and whether what it was made of is still what readers see. */
export interface Made {
  readonly answer: Record<string, unknown>;
  readonly isStill: () => Promise<boolean>;
}

/** A document has at most 1 MiB; larger answers are made each time. */
const cachedBytes = 900_000;

const kept = z.object({ answer: z.record(z.string(), z.unknown()) });

/** The kept answer to a question, or the one that `make` makes. */
export async function answerCached(
  documents: TenantDocuments,
  { topic, keep, asked }: Question,
  make: () => Promise<Made>,
): Promise<Record<string, unknown>> {
  const id = `${topic}:${createHash('sha256').update(JSON.stringify(asked)).digest('hex')}`;
  const found = await documents.get('cache', id);
  if (found !== undefined) return kept.parse(found).answer;
  const { answer, isStill } = await make();
  if (Buffer.byteLength(JSON.stringify(answer)) > cachedBytes) return answer;
  await documents.put('cache', { _id: id, answer }, { ttlMs: cacheClasses[keep] });
  // Changed while it was made: the drop may have come before the put.
  if (!(await isStill())) await documents.remove('cache', [id]);
  return answer;
}
