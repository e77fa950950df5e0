/** What a redrive leaves in the run record of a job (`run:<queue>:<id>`), beside what the workers note there. */
import type { RecordStore } from './backend.ts';
import { type Failure, readFailure } from './signature.ts';

export interface PastFailure extends Failure {
  /** Epoch ms. */
  readonly at: number;
}

const ttlMs = 45 * 86_400_000;
const failuresKept = 10;
const messageChars = 500;

/** The fields of ours; what else stands in the record is the workers' and stays. */
export interface RunHistory {
  /** 1 until the first redrive. */
  readonly run: number;
  /** Why earlier runs became dead letters, the oldest first, the newest ten. */
  readonly failures: readonly PastFailure[];
}

export async function readHistory(records: RecordStore, queue: string, id: string): Promise<RunHistory> {
  const [stored] = await records.get([runKey(queue, id)]);
  return historyOf(fieldsOf(stored?.value));
}

/** Notes why the run that ends here failed, and that another begins. Noting the same failure twice changes nothing. */
export async function noteRedrive(
  records: RecordStore,
  queue: string,
  id: string,
  failure: { readonly reason: string; readonly at: number },
  redrivenAt: number,
): Promise<RunHistory> {
  const key = runKey(queue, id);
  for (let tries = 0; tries < 10; tries += 1) {
    const [stored] = await records.get([key]);
    const fields = fieldsOf(stored?.value);
    const before = historyOf(fields);
    if (before.failures.at(-1)?.at === failure.at) return before;
    const { code, message } = readFailure(failure.reason);
    const failures = [...before.failures, { code, message: message.slice(0, messageChars), at: failure.at }];
    const history = { run: before.run + 1, failures: failures.slice(-failuresKept) };
    // `deaths` counts dead children since the redrive; the workers' other notes hold for the job's whole life.
    const value = JSON.stringify({ ...fields, ...history, redrivenAt, deaths: 0 });
    const written =
      stored === undefined
        ? (await records.putIfAbsent(key, value, ttlMs)).stored
        : await records.compareAndSet(key, stored.version, value, ttlMs);
    if (written) return history;
  }
  throw new Error(`The record ${key} changed ten times while it was being written; try the redrive again`);
}

const runKey = (queue: string, id: string) => `run:${queue}:${id}`;

/** A record that cannot be read counts as empty: it must not keep a dead letter from being redriven. */
function fieldsOf(value: string | undefined): Record<string, unknown> {
  if (value === undefined) return {};
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}

function historyOf(fields: Record<string, unknown>): RunHistory {
  const { run, failures } = fields;
  return {
    run: typeof run === 'number' ? run : 1,
    failures: Array.isArray(failures) ? failures.filter(isPastFailure) : [],
  };
}

function isPastFailure(value: unknown): value is PastFailure {
  return (
    typeof value === 'object' &&
    value !== null &&
    'code' in value &&
    typeof value.code === 'string' &&
    'message' in value &&
    typeof value.message === 'string' &&
    'at' in value &&
    typeof value.at === 'number'
  );
}
