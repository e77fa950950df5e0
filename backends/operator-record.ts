/** Small records that operators write: the latest one stands, and what cannot be read counts as absent. */
import type { z } from 'zod';
import type { RecordStore } from './backend.ts';

export interface Stored<T> {
  readonly value: T;
  readonly version: number;
}

/** In the order of `keys`; undefined where nothing is, or nothing that fits the schema. */
export async function readAll<S extends z.ZodType>(
  records: RecordStore,
  keys: readonly string[],
  schema: S,
): Promise<(Stored<z.output<S>> | undefined)[]> {
  const found = await records.get(keys);
  return found.map((entry) => {
    if (entry === undefined) return undefined;
    const parsed = schema.safeParse(parseJson(entry.value));
    return parsed.success ? { value: parsed.data, version: entry.version } : undefined;
  });
}

/** Whatever stood there before; null removes it. Answers whether something did. */
export async function write(
  records: RecordStore,
  key: string,
  value: object | null,
  ttlMs: number | null = null,
): Promise<boolean> {
  const text = value === null ? null : JSON.stringify(value);
  for (;;) {
    const [before] = await records.get([key]);
    if (before === undefined) {
      if (text === null || (await records.putIfAbsent(key, text, ttlMs)).stored) return false;
    } else if (await records.compareAndSet(key, before.version, text, ttlMs)) return true;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
