import type { RecordStore } from '../../backends/backend.ts';

/** As a store whose connection is lost after each write: the statement was applied, and runs again. */
export function repeating(records: RecordStore): RecordStore {
  return {
    ...records,
    putIfAbsent: async (...call) => {
      await records.putIfAbsent(...call);
      return records.putIfAbsent(...call);
    },
    compareAndSet: async (...call) => {
      await records.compareAndSet(...call);
      return records.compareAndSet(...call);
    },
  };
}
