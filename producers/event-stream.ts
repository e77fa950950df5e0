/** One job as server-sent events. A reader that is slower than its job gets what is newest, and costs no memory. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { JobStatus } from './job-status.ts';

export interface EventStreamParts {
  /** What an event shows of the job; with its result once it has ended. */
  readonly describe: (status: JobStatus) => object;
  /** The last event the reader has seen: it is not told again. */
  readonly lastEventId: string | undefined;
  /** Default 15,000. */
  readonly commentEveryMs?: number;
  /** Ends the stream after this long; the reader comes back by itself. Default an hour. */
  readonly longestMs?: number;
}

export interface EventStream {
  readonly body: Readable;
  readonly tell: (status: JobStatus | undefined) => void;
  /** Ends it; what is under way may still leave. */
  readonly end: () => void;
}

const retryMs = 2_000;
const ended = new Set<JobStatus['status']>(['cancelled', 'completed', 'failed']);

/** Names an event by what it says: the same state has the same name, in every process. */
export function eventId(status: JobStatus): string {
  return createHash('sha256').update(JSON.stringify(status)).digest('base64url').slice(0, 22);
}

export const hasEnded = ({ status }: JobStatus): boolean => ended.has(status);

/** `onClose` is called once, however it ends. */
export function openEventStream(parts: EventStreamParts, onClose: () => void): EventStream {
  let seen: JobStatus | undefined;
  let seenId = parts.lastEventId;
  let next: JobStatus | 'gone' | undefined;
  let isWanted = false;
  const body = new Readable({
    highWaterMark: 16_384,
    read: () => {
      isWanted = true;
      pump();
    },
    destroy: (error, done) => {
      clearInterval(commenting);
      clearTimeout(ending);
      onClose();
      done(error);
    },
  });
  const push = (text: string): void => {
    isWanted = body.push(text);
  };
  const pump = (): void => {
    if (!isWanted || next === undefined || body.destroyed || body.readableEnded) return;
    const status = next;
    next = undefined;
    if (status === 'gone') {
      push('event: gone\ndata: {}\n\n');
      return end();
    }
    const id = eventId(status);
    if (id !== seenId) {
      push(`event: ${nameOf(status, seen)}\nid: ${id}\ndata: ${JSON.stringify(parts.describe(status))}\n\n`);
      seenId = id;
    }
    seen = status;
    if (hasEnded(status)) end();
  };
  let isEnded = false;
  const end = (): void => {
    if (isEnded || body.destroyed) return;
    isEnded = true;
    body.push(null);
  };
  const commenting = setInterval(() => {
    // A reader that takes nothing gets no comments either: its connection ends by its timeout.
    if (isWanted && !isEnded) push(': still here\n\n');
  }, parts.commentEveryMs ?? 15_000);
  const ending = setTimeout(end, parts.longestMs ?? 3_600_000);
  push(`retry: ${retryMs}\n\n`);
  return {
    body,
    tell: (status) => {
      if (isEnded) return;
      next = status ?? 'gone';
      pump();
    },
    end,
  };
}

function nameOf(status: JobStatus, before: JobStatus | undefined): 'outcome' | 'progress' | 'state' {
  if (hasEnded(status)) return 'outcome';
  const isSame =
    before !== undefined &&
    before.status === status.status &&
    before.attempt === status.attempt &&
    before.interruptions === status.interruptions;
  return isSame ? 'progress' : 'state';
}
