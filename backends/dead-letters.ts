/**
 * The repair bench: list, group, inspect, redrive and discard dead letters. They are BullMQ's failed jobs; nothing is
 * copied elsewhere. CLI, HTTP API and board go through here, so that a redrive means the same everywhere.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Backend } from './backend.ts';
import { forgetCancel } from './cancel-record.ts';
import { createDeadLetterIndex, type DeadLetter, type DeadLetterIndex, letterOf } from './dead-letter-index.ts';
import { type Evidence, readEvidence } from './evidence.ts';
import { deadJob, type Redriven, type RedriveOptions, type RedriveParts, type Refused, redriveOne } from './redrive.ts';

export type { DeadLetter } from './dead-letter-index.ts';
export type { Redriven, RedriveOptions, Refused } from './redrive.ts';

export interface DeadLetterFilter {
  readonly queue?: string;
  readonly tenant?: string;
  readonly code?: string;
  readonly signature?: string;
  readonly ids?: readonly string[];
  /** Epoch ms of the failure, both inclusive. */
  readonly from?: number;
  readonly to?: number;
}

export interface DeadLetterPage {
  readonly letters: readonly DeadLetter[];
  /** Pass it on to get the next page; undefined at the end. */
  readonly cursor: string | undefined;
  /** False when a queue holds more than the newest 200,000 that are looked at. */
  readonly complete: boolean;
}

export interface DeadLetterGroup {
  readonly signature: string;
  readonly queue: string;
  readonly code: string;
  readonly count: number;
  /** Epoch ms. */
  readonly oldestAt: number;
  readonly newestAt: number;
  /** The newest one, whose message stands for all. */
  readonly example: DeadLetter;
}

export interface DeadLetterDetail {
  readonly letter: DeadLetter;
  /** What its attempts logged. */
  readonly logs: readonly string[];
  readonly evidence: Evidence;
}

export interface BulkReport {
  readonly matched: number;
  readonly done: number;
  readonly refused: readonly Refused[];
  /** Pass it on to go on behind what this call looked at; undefined when it came to the end. */
  readonly cursor: string | undefined;
  /** False when something that matches was not looked at: there is a cursor, or a queue holds more than 200,000. */
  readonly complete: boolean;
}

export interface BulkOptions {
  /** Of the call before. What fails again after the first call is left alone. */
  readonly cursor?: string | undefined;
}

export interface DeadLetters {
  /** The newest first. `limit` 1–1,000. */
  list(filter: DeadLetterFilter, page: { readonly limit: number; readonly cursor?: string }): Promise<DeadLetterPage>;
  /** One group per queue and signature, the largest first. */
  groups(
    filter: DeadLetterFilter,
  ): Promise<{ readonly groups: readonly DeadLetterGroup[]; readonly complete: boolean }>;
  /** Undefined when the job is no dead letter (any more). */
  inspect(queue: string, id: string): Promise<DeadLetterDetail | undefined>;
  /** Puts one back to work: same id, fresh attempts, the fence goes on. Each dead letter goes at most once, whoever asks. */
  redrive(queue: string, id: string, options?: RedriveOptions): Promise<Redriven>;
  /** The oldest first, at most 1,000 a call and as many as fit into 0.7 s. Throws a `RangeError` for a cursor that is none. */
  redriveMany(filter: DeadLetterFilter, options?: RedriveOptions & BulkOptions): Promise<BulkReport>;
  /** Deletes one for good; false when it is no dead letter (any more). */
  discard(queue: string, id: string): Promise<boolean>;
  /** As `redriveMany`. */
  discardMany(filter: DeadLetterFilter, options?: { readonly dryRun?: boolean } & BulkOptions): Promise<BulkReport>;
}

export interface DeadLetterParts extends Omit<RedriveParts, 'now'> {
  readonly backend: Pick<Backend, 'failed' | 'queue' | 'records' | 'tags'>;
  readonly queues: readonly string[];
  readonly now?: () => number;
  /** Longer than this no call on many goes on: the caller sees what was done, and calls again. Default 700. */
  readonly callMs?: number;
}

const perCall = 1_000;
const atOnce = 20;
/** Longer than a redrive may take. */
const claimMs = 30_000;

export function createDeadLetters(parts: DeadLetterParts): DeadLetters {
  const now = parts.now ?? Date.now;
  const index = createDeadLetterIndex(parts.backend.failed, now);
  const find = finder(index, parts.queues);
  const each = eachOldest(find, parts.callMs ?? 700);
  const redrive = redriver({ ...parts, now }, index);
  const discard = discarder(parts, index);
  return {
    async list(filter, page) {
      const { letters, complete } = await find(filter);
      return { ...pageOf(letters, page.limit, page.cursor), complete };
    },
    async groups(filter) {
      const { letters, complete } = await find(filter);
      return { groups: groupsOf(letters), complete };
    },
    async inspect(queue, id) {
      const { backend } = parts;
      const job = await deadJob(backend, queue, id);
      if (job === undefined) return undefined;
      const [[row], { logs }, evidence] = await Promise.all([
        backend.failed.rows(queue, [id]),
        backend.queue(queue).getJobLogs(id),
        readEvidence(backend.records, queue, job),
      ]);
      return row && { letter: letterOf(queue, row), logs, evidence };
    },
    redrive,
    async redriveMany(filter, { cursor, ...options } = {}) {
      const { answers, ...rest } = await each(filter, cursor, ({ queue, id }) => redrive(queue, id, options));
      const refused = answers.filter((answer) => answer.state === 'refused');
      return { ...rest, done: answers.length - refused.length, refused };
    },
    discard,
    async discardMany(filter, { cursor, dryRun = false } = {}) {
      const work = ({ queue, id }: DeadLetter) => (dryRun ? Promise.resolve(true) : discard(queue, id));
      const { answers, ...rest } = await each(filter, cursor, work);
      return { ...rest, done: answers.filter(Boolean).length, refused: [] };
    },
  };
}

/** One call's worth of what a filter names, the oldest first, from behind the cursor to the newest the first call saw. */
function eachOldest(find: ReturnType<typeof finder>, callMs: number) {
  return async <R>(filter: DeadLetterFilter, cursor: string | undefined, work: (letter: DeadLetter) => Promise<R>) => {
    const endsAt = performance.now() + callMs;
    const { letters, complete } = await find(filter);
    const [after, last] = cursor === undefined ? [undefined, letters[0]] : readCursor(cursor, 2);
    const open = letters
      .filter((letter) => last !== undefined && newestFirst(letter, last) >= 0)
      .filter((letter) => after === undefined || newestFirst(letter, after) < 0)
      .toReversed();
    const answers = await inGroups(open.slice(0, perCall), work, endsAt);
    const seen = open[answers.length - 1];
    const next = answers.length < open.length && seen && last ? writeCursor(seen, last) : undefined;
    return { answers, matched: letters.length, cursor: next, complete: complete && next === undefined };
  };
}

/** The dead letters a filter names, the newest first. */
function finder(index: DeadLetterIndex, queues: readonly string[]) {
  return async (filter: DeadLetterFilter) => {
    const names = filter.queue === undefined ? queues : queues.filter((name) => name === filter.queue);
    const reads = await Promise.all(names.map((name) => index.read(name)));
    const letters = reads.flatMap((read) => read.letters.filter(matches(filter)));
    return { letters: letters.sort(newestFirst), complete: reads.every((read) => read.complete) };
  };
}

/** Redrives under a lease, so that two operators never patch one job together. */
function redriver(parts: RedriveParts, index: DeadLetterIndex): DeadLetters['redrive'] {
  const { records } = parts.backend;
  return async (queue, id, options) => {
    if (options?.dryRun === true) return redriveOne(parts, queue, id, options);
    const key = `redrive:${queue}:${id}`;
    const holder = randomUUID();
    if (!(await records.acquire(key, holder, 1, claimMs))) {
      return { state: 'refused', id, queue, reason: 'GONE', message: `${id} is being redriven by somebody else` };
    }
    try {
      return await redriveOne(parts, queue, id, options);
    } finally {
      index.expire(queue);
      await records.release(key, holder);
    }
  };
}

function discarder({ backend }: DeadLetterParts, index: DeadLetterIndex): DeadLetters['discard'] {
  return async (queue, id) => {
    const job = await deadJob(backend, queue, id);
    if (job === undefined) return false;
    await job.remove();
    await forgetCancel(backend.records, queue, id);
    index.expire(queue);
    return true;
  };
}

/** As many as fit into the time, one group at least. */
async function inGroups<T, R>(items: readonly T[], work: (item: T) => Promise<R>, endsAt: number): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += atOnce) {
    if (start > 0 && performance.now() > endsAt) break;
    results.push(...(await Promise.all(items.slice(start, start + atOnce).map(work))));
  }
  return results;
}

function matches(filter: DeadLetterFilter): (letter: DeadLetter) => boolean {
  const ids = filter.ids === undefined ? undefined : new Set(filter.ids);
  return (letter) =>
    (filter.tenant === undefined || letter.tenant === filter.tenant) &&
    (filter.code === undefined || letter.code === filter.code) &&
    (filter.signature === undefined || letter.signature === filter.signature) &&
    (filter.from === undefined || letter.failedAt >= filter.from) &&
    (filter.to === undefined || letter.failedAt <= filter.to) &&
    (ids === undefined || ids.has(letter.id));
}

type Position = Pick<DeadLetter, 'failedAt' | 'id'>;

function newestFirst(a: Position, b: Position): number {
  return b.failedAt - a.failedAt || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}

/** Letters of one queue and signature, the newest first; never empty. */
function groupOf(letters: readonly DeadLetter[]): DeadLetterGroup {
  const [example] = letters;
  const oldest = letters.at(-1);
  if (example === undefined || oldest === undefined) throw new RangeError('expected at least one dead letter');
  const { signature, queue, code } = example;
  return {
    signature,
    queue,
    code,
    count: letters.length,
    oldestAt: oldest.failedAt,
    newestAt: example.failedAt,
    example,
  };
}

function groupsOf(letters: readonly DeadLetter[]): DeadLetterGroup[] {
  const groups = new Map<string, DeadLetter[]>();
  for (const letter of letters) {
    const key = `${letter.queue}\n${letter.signature}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [letter]);
    else group.push(letter);
  }
  return Array.from(groups.values(), groupOf).sort((a, b) => b.count - a.count);
}

function pageOf(letters: readonly DeadLetter[], limit: number, cursor: string | undefined) {
  const [after] = cursor === undefined ? [] : readCursor(cursor, 1);
  const start = after === undefined ? 0 : letters.findIndex((letter) => newestFirst(after, letter) < 0);
  const page = start < 0 ? [] : letters.slice(start, start + limit);
  const last = page.at(-1);
  const isMore = last !== undefined && start + limit < letters.length;
  return { letters: page, cursor: isMore ? writeCursor(last) : undefined };
}

/** Positions, not offsets: what arrives meanwhile does not shift the pages. */
function writeCursor(...positions: readonly Position[]): string {
  return Buffer.from(JSON.stringify(positions.map(({ failedAt, id }) => [failedAt, id]))).toString('base64url');
}

const positions = z.array(
  z.tuple([z.number(), z.string()]).transform(([failedAt, id]): Position => ({ failedAt, id })),
);

function readCursor(cursor: string, count: 1 | 2): Position[] {
  try {
    return positions.length(count).parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch (error) {
    throw new RangeError(`"${cursor.slice(0, 80)}" is no cursor of this list`, { cause: error });
  }
}
