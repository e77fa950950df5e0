/**
 * The repair bench: list, group, inspect, redrive and discard dead letters. They are BullMQ's failed jobs; nothing is
 * copied elsewhere. CLI, HTTP API and board go through here, so that a redrive means the same everywhere.
 */
import { randomUUID } from 'node:crypto';
import type { Job as StoredJob } from 'bullmq';
import type { Backend } from './backend.ts';
import { createDeadLetterIndex, type DeadLetter, type DeadLetterIndex } from './dead-letter-index.ts';
import { deadJob, type Redriven, type RedriveOptions, type RedriveParts, type Refused, redriveOne } from './redrive.ts';
import { type RunHistory, readHistory } from './run-record.ts';

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
  readonly job: StoredJob;
  readonly logs: readonly string[];
  readonly history: RunHistory;
}

export interface BulkReport {
  readonly matched: number;
  readonly done: number;
  readonly refused: readonly Refused[];
  /** False when more than one call's worth matched: call again for the rest. */
  readonly complete: boolean;
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
  /** The oldest first, at most 1,000 a call and as many as fit into 0.7 s. */
  redriveMany(filter: DeadLetterFilter, options?: RedriveOptions): Promise<BulkReport>;
  /** Deletes one for good; false when it is no dead letter (any more). */
  discard(queue: string, id: string): Promise<boolean>;
  /** The oldest first, at most 1,000 a call and as many as fit into 0.7 s. */
  discardMany(filter: DeadLetterFilter, options?: { readonly dryRun?: boolean }): Promise<BulkReport>;
}

export interface DeadLetterParts extends Omit<RedriveParts, 'now'> {
  readonly backend: Pick<Backend, 'failed' | 'queue' | 'records' | 'tags'>;
  readonly queues: readonly string[];
  readonly now?: () => number;
}

const perCall = 1_000;
const atOnce = 20;
/** Longer than this no call goes on: the caller sees what was done, and calls again. */
const pageMs = 700;
/** Longer than a redrive may take. */
const claimMs = 30_000;

export function createDeadLetters(parts: DeadLetterParts): DeadLetters {
  const now = parts.now ?? Date.now;
  const index = createDeadLetterIndex(parts.backend.failed, now);
  const find = finder(index, parts.queues);
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
      const job = await deadJob(parts.backend, queue, id);
      if (job === undefined) return undefined;
      const { logs } = await parts.backend.queue(queue).getJobLogs(id);
      return { job, logs, history: await readHistory(parts.backend.records, queue, id) };
    },
    redrive,
    async redriveMany(filter, options) {
      const endsAt = performance.now() + pageMs;
      const { letters, complete } = await find(filter);
      const answers = await inGroups(oldest(letters), ({ queue, id }) => redrive(queue, id, options), endsAt);
      const refused = answers.filter((answer) => answer.state === 'refused');
      const isAll = complete && answers.length === letters.length;
      return report(letters, isAll, answers.length - refused.length, refused);
    },
    discard,
    async discardMany(filter, { dryRun = false } = {}) {
      const endsAt = performance.now() + pageMs;
      const { letters, complete } = await find(filter);
      const work = ({ queue, id }: DeadLetter) => (dryRun ? Promise.resolve(true) : discard(queue, id));
      const gone = await inGroups(oldest(letters), work, endsAt);
      return report(letters, complete && gone.length === letters.length, gone.filter(Boolean).length, []);
    },
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
    index.expire(queue);
    return true;
  };
}

function oldest(letters: readonly DeadLetter[]): DeadLetter[] {
  return letters.toReversed().slice(0, perCall);
}

function report(
  letters: readonly DeadLetter[],
  complete: boolean,
  done: number,
  refused: readonly Refused[],
): BulkReport {
  return { matched: letters.length, done, refused, complete };
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
  const after = cursor === undefined ? undefined : readCursor(cursor);
  const start = after === undefined ? 0 : letters.findIndex((letter) => newestFirst(after, letter) < 0);
  const page = start < 0 ? [] : letters.slice(start, start + limit);
  const last = page.at(-1);
  const isMore = last !== undefined && start + limit < letters.length;
  return { letters: page, cursor: isMore ? writeCursor(last) : undefined };
}

/** A position, not an offset: what arrives meanwhile does not shift the pages. */
function writeCursor({ failedAt, id }: Position): string {
  return Buffer.from(`${failedAt} ${id}`).toString('base64url');
}

function readCursor(cursor: string): Position {
  const [failedAt, id] = Buffer.from(cursor, 'base64url').toString().split(' ', 2);
  if (id === undefined || !Number.isFinite(Number(failedAt)))
    throw new RangeError(`"${cursor.slice(0, 80)}" is no cursor of this list`);
  return { failedAt: Number(failedAt), id };
}
