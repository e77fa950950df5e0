/** What `runJob` keeps in the memory of one test run, as it has no store: records, and rates. */
import type { RecordEntry, RecordStore } from '../backends/backend.ts';
import type { OpenLimiter } from '../backends/limiter.ts';

/** Entries expire by this process's clock. */
export function memoryRecords(): RecordStore {
  const entries = new Map<string, RecordEntry & { readonly expiresAt: number }>();
  const holders = new Map<string, Map<string, number>>();
  const find = (key: string) => {
    const entry = entries.get(key);
    return entry !== undefined && entry.expiresAt > Date.now() ? entry : undefined;
  };
  const write = (key: string, value: string, version: number, ttlMs: number | null): RecordEntry => {
    const entry = { value, version, expiresAt: ttlMs === null ? Number.POSITIVE_INFINITY : Date.now() + ttlMs };
    entries.set(key, entry);
    return { value, version };
  };
  return {
    async putIfAbsent(key, value, ttlMs) {
      const found = find(key);
      if (found !== undefined) return { value: found.value, version: found.version, stored: false };
      return { ...write(key, value, 1, ttlMs), stored: true };
    },
    async compareAndSet(key, version, value, ttlMs) {
      if (find(key)?.version !== version) return false;
      if (value === null) entries.delete(key);
      else write(key, value, version + 1, ttlMs);
      return true;
    },
    async expire(keys, ttlMs) {
      for (const key of keys) {
        const found = find(key);
        if (found !== undefined) write(key, found.value, found.version, ttlMs);
      }
    },
    get: async (keys) => keys.map((key) => find(key)),
    list: async (prefix) =>
      [...entries.keys()]
        .filter((key) => key.startsWith(prefix))
        .toSorted()
        .flatMap((key) => {
          const found = find(key);
          return found === undefined ? [] : [{ key, value: found.value, version: found.version }];
        }),
    async acquire(key, holder, max, ttlMs) {
      const held = holders.get(key) ?? new Map<string, number>();
      for (const [name, until] of held) if (until <= Date.now()) held.delete(name);
      if (!held.has(holder) && held.size >= max) return false;
      holders.set(key, held.set(holder, Date.now() + ttlMs));
      return true;
    },
    async release(key, holder) {
      holders.get(key)?.delete(holder);
    },
  };
}

/** Rates counted in one process, in windows that begin with their first call. */
export function memoryLimiter(): OpenLimiter {
  const windows = new Map<string, { taken: number; readonly endsAt: number }>();
  return (keyPrefix, limit, windowMs) => ({
    async take(key, points = 1) {
      const name = `${keyPrefix}:${key}`;
      const known = windows.get(name);
      const window =
        known !== undefined && known.endsAt > Date.now() ? known : { taken: 0, endsAt: Date.now() + windowMs };
      windows.set(name, window);
      const isAllowed = window.taken + points <= limit;
      if (isAllowed) window.taken += points;
      return { isAllowed, limit, remaining: limit - window.taken, resetMs: window.endsAt - Date.now() };
    },
  });
}
