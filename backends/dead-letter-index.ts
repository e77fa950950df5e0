/** The dead letters of some queues as short facts in memory: rows are read once, when they are new. */
import type { FailedReader, FailedRow } from './backend.ts';
import { readFailure, signatureOf } from './signature.ts';

export interface DeadLetter extends Omit<FailedRow, 'reason'> {
  readonly queue: string;
  readonly code: string;
  readonly message: string;
  readonly signature: string;
}

export interface DeadLetterIndex {
  /** All known dead letters of the queue, the newest first; at most `refreshMs` old. `complete` is false beyond the newest 200,000. */
  read(queue: string): Promise<{ readonly letters: readonly DeadLetter[]; readonly complete: boolean }>;
  /** Makes the next `read` ask the store. */
  expire(queue: string): void;
}

const keptPerQueue = 200_000;
const rowsPerCall = 1_000;
/** The store reads the next rows while these become letters; on a busy machine each answer waited for is a turn lost. */
const callsAtOnce = 8;
const refreshMs = 5_000;
/** Enough for a page in a terminal; the whole message is in the job. */
const messageChars = 500;

interface QueueIndex {
  letters: DeadLetter[];
  complete: boolean;
  readAt: number;
  reading: Promise<void> | undefined;
}

export function createDeadLetterIndex(failed: FailedReader, now: () => number = Date.now): DeadLetterIndex {
  const queues = new Map<string, QueueIndex>();
  const refresh = async (queue: string, index: QueueIndex) => {
    const startedAt = now();
    const ids = await failed.ids(queue, keptPerQueue + 1);
    const known = new Map(index.letters.map((letter) => [letter.id, letter]));
    // A job that was redriven and failed again has its old id and a new time.
    const isNew = (entry: { id: string; failedAt: number }) => known.get(entry.id)?.failedAt !== entry.failedAt;
    const news = ids.filter(isNew).map(({ id }) => id);
    const starts = Array.from({ length: Math.ceil(news.length / rowsPerCall) }, (_, at) => at * rowsPerCall).values();
    const readRows = async (): Promise<void> => {
      for (const start of starts)
        for (const row of await failed.rows(queue, news.slice(start, start + rowsPerCall)))
          known.set(row.id, letterOf(queue, row));
    };
    await Promise.all(Array.from({ length: callsAtOnce }, readRows));
    index.letters = ids.slice(0, keptPerQueue).flatMap(({ id }) => known.get(id) ?? []);
    index.complete = ids.length <= keptPerQueue;
    index.readAt = startedAt;
  };
  return {
    async read(queue) {
      let index = queues.get(queue);
      if (index === undefined) {
        index = { letters: [], complete: true, readAt: Number.NEGATIVE_INFINITY, reading: undefined };
        queues.set(queue, index);
      }
      const current = index;
      if (now() - current.readAt >= refreshMs) {
        current.reading ??= refresh(queue, current).finally(() => {
          current.reading = undefined;
        });
        await current.reading;
      }
      return { letters: current.letters, complete: current.complete };
    },
    expire(queue) {
      const index = queues.get(queue);
      if (index !== undefined) index.readAt = Number.NEGATIVE_INFINITY;
    },
  };
}

/** Each field by its name: spreading a hundred thousand rows costs more than everything else here together. */
export function letterOf(queue: string, row: FailedRow): DeadLetter {
  const failure = readFailure(row.reason);
  return {
    id: row.id,
    queue,
    name: row.name,
    tenant: row.tenant,
    code: failure.code,
    message: failure.message.slice(0, messageChars),
    signature: signatureOf(failure),
    attempts: row.attempts,
    createdAt: row.createdAt,
    failedAt: row.failedAt,
  };
}
