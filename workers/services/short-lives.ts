/**
 * The once-records of a completed job need to live for a day only: a busy queue would keep 45 days of them. The store is
 * told together for many jobs, four times a second and when a worker ends. What a crash leaves untold lives its 45 days.
 */
import type { RecordStore } from '../../backends/backend.ts';

export interface ShortLives {
  /** The jobs that used these records are completed. */
  shorten(names: Iterable<string>): void;
  /** Tells the store of the rest. */
  close(): Promise<void>;
}

const completedTtlMs = 24 * 3_600_000;
const everyMs = 250;
/** Then they leave at once: a call about a thousand keys is short on every store. */
const most = 1_000;

export function createShortLives(records: Pick<RecordStore, 'expire'>, onError: (error: unknown) => void): ShortLives {
  let waiting: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  /** Settles with every call that is under way. */
  let telling: Promise<unknown> = Promise.resolve();
  const tell = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const names = waiting;
    waiting = [];
    if (names.length > 0) telling = Promise.all([telling, records.expire(names, completedTtlMs).catch(onError)]);
  };
  return {
    shorten(names) {
      waiting.push(...names);
      if (waiting.length >= most) tell();
      else if (waiting.length > 0) timer ??= setTimeout(tell, everyMs).unref();
    },
    async close() {
      tell();
      await telling;
    },
  };
}
