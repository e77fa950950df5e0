/**
 * A set of names that many processes change, in records: a record store cannot be listed. Spread over a few records, so
 * that a set of thousands fits and processes that come and go seldom meet.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { RecordStore } from './backend.ts';

export interface NameSet {
  add(name: string): Promise<void>;
  remove(names: readonly string[]): Promise<void>;
  /** In order of the alphabet. */
  list(): Promise<string[]>;
}

const mostTries = 50;
const stored = z.object({ names: z.array(z.string()) });

/** `prefix` must end like no other key of ours: its records are `<prefix>:0` to `<prefix>:<shards − 1>`. At most 256 shards, default 16. */
export function nameSet(records: RecordStore, prefix: string, shards = 16): NameSet {
  const keys = Array.from({ length: shards }, (_, shard) => `${prefix}:${shard}`);
  const keyOf = (name: string): string => `${prefix}:${(createHash('sha256').update(name).digest()[0] ?? 0) % shards}`;
  return {
    add: (name) =>
      change(records, keyOf(name), (names) => (names.includes(name) ? undefined : [...names, name].toSorted())),
    async remove(gone) {
      for (const key of new Set(gone.map(keyOf)))
        await change(records, key, (names) => {
          const left = names.filter((name) => !gone.includes(name));
          return left.length === names.length ? undefined : left;
        });
    },
    async list() {
      const found = await records.get(keys);
      return found.flatMap((entry) => namesOf(entry?.value)).toSorted();
    },
  };
}

/** Compare-and-set until it holds; `undefined` leaves the record as it is. */
async function change(
  records: RecordStore,
  key: string,
  next: (names: readonly string[]) => readonly string[] | undefined,
): Promise<void> {
  for (let tries = 0; tries < mostTries; tries += 1) {
    const [entry] = await records.get([key]);
    const names = next(namesOf(entry?.value));
    if (names === undefined) return;
    const value = names.length === 0 ? null : JSON.stringify({ names });
    if (entry === undefined) {
      if (value === null || (await records.putIfAbsent(key, value, null)).stored) return;
    } else if (await records.compareAndSet(key, entry.version, value, null)) return;
  }
  throw new Error(`The record ${key} changed ${mostTries} times while it was being written; it is tried again`);
}

function namesOf(value: string | undefined): readonly string[] {
  if (value === undefined) return [];
  try {
    const parsed = stored.safeParse(JSON.parse(value));
    return parsed.success ? parsed.data.names : [];
  } catch {
    return [];
  }
}
