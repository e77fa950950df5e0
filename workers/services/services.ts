/** What a handler may ask for, answered by the worker: the same object serves a handler in process and, over its pipe, one in a child. */
import type { RecordStore } from '../../backends/backend.ts';
import type { Enqueued } from '../../jobs/define.ts';
import { retry } from '../../jobs/errors.ts';
import type { AttemptFacts, Services } from '../context.ts';
import { createNotes, type NoteSink, type Notes } from './notes.ts';
import { type AttemptObjects, createObjects, type ObjectParts } from './objects.ts';
import { createOnce, type Once } from './once.ts';

/** Shared by all attempts of a process. */
export interface ServiceParts extends ObjectParts {
  readonly records: RecordStore;
  /** Throws `UNKNOWN_JOB` or `PAYLOAD_INVALID` where the client would. */
  readonly enqueue: (
    type: string,
    payload: unknown,
    options: { readonly tenant: string; readonly idempotencyKey: string; readonly delayMs?: number },
  ) => Promise<Enqueued>;
}

/** Per attempt. */
export interface ServiceAttempt {
  readonly facts: AttemptFacts;
  readonly queue: string;
  readonly sink: NoteSink;
  /** True once the attempt has its outcome. */
  readonly isOver: () => boolean;
  readonly signal: () => AbortSignal;
  readonly onNoteError: (error: unknown) => void;
}

export interface OwnServices extends Services {
  /** The handler noted something or began an effect. */
  readonly isUsed: boolean;
  /** Stores what is still pending, and cuts the life of the once-records of a job that is done. Does nothing when the handler asked for nothing. */
  close(isDone: boolean): Promise<void>;
}

/** The parts are made when they are first asked for: most attempts need none of them. */
export function createServices(parts: ServiceParts, attempt: ServiceAttempt, folder: () => string): OwnServices {
  const { facts, queue } = attempt;
  let madeOnce: Once | undefined;
  let madeNotes: Notes | undefined;
  let madeObjects: AttemptObjects | undefined;
  const once = (): Once => (madeOnce ??= createOnce(parts.records, { queue, id: facts.id, fence: facts.fence }));
  const notes = (): Notes => (madeNotes ??= createNotes(attempt.sink, attempt.onNoteError));
  const objects = (): AttemptObjects =>
    (madeObjects ??= createObjects(parts, { tenant: facts.tenant, folder, signal: attempt.signal }));
  // A handler that was left behind at its time limit runs on: it must not act for a job that others have by now.
  const live = async <T>(work: () => Promise<T>): Promise<T> => {
    if (attempt.isOver()) throw retry('LOCKED', 'This attempt is over; nothing it asks for is done any more.');
    return work();
  };
  return {
    onceBegin: (key, whenUnknown) => live(() => once().begin(key, whenUnknown)),
    // Confirmed even when the attempt is over: the effect has happened, and the fence refuses a stale writer.
    onceEnd: (key, result) => once().end(key, result),
    enqueue: (type, payload, options) =>
      live(() =>
        parts.enqueue(type, payload, {
          tenant: facts.tenant,
          // Deterministic: a retry of this job finds the job its earlier attempt added.
          idempotencyKey: `${facts.id}/${options.key}`,
          ...(options.delayMs === undefined ? {} : { delayMs: options.delayMs }),
        }),
      ),
    progress: (percent, note) => {
      if (!attempt.isOver()) notes().progress(percent, note);
    },
    log: (level, message, more) => {
      if (!attempt.isOver()) notes().log(level, message, more);
    },
    objectFetch: (input, options) => live(() => objects().fetch(input, options)),
    objectPut: (key, path, contentType) => live(() => objects().put(key, path, contentType)),
    objectHead: (key) => live(() => objects().head(key)),
    get isUsed() {
      return madeNotes !== undefined || madeOnce !== undefined;
    },
    async close(isDone) {
      await madeNotes?.flush();
      if (isDone) await madeOnce?.shorten();
    },
  };
}
