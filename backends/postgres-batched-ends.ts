/**
 * Completions on PostgreSQL that come together share one statement and one commit, and each brings its slot's next job
 * back. The statement calls BullMQ's own function once per job, so what it does to each is unchanged.
 */
import type { PostgresQueueBackend } from 'bullmq';
import type { Pool } from 'pg';
import { gather } from './gather.ts';
import { isLost } from './postgres-pool.ts';
import { asError } from './unreachable.ts';

type Row = Record<string, unknown>;
interface Rows {
  readonly rows: readonly Row[];
}
type Run = (command: string, params: readonly unknown[]) => Promise<Rows>;

/** `move_to_completed_fetch(queue, id, token, value, finished, remove, age, count, lease, now, worker, limit, window)`. */
const command = 'move_to_completed_fetch';
type Params = readonly unknown[];

const statement = `
  SELECT u.ord, f.*
    FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) WITH ORDINALITY AS u (id, token, value, finished, ord),
         LATERAL move_to_completed_fetch($1, u.id, u.token, u.value::jsonb, u.finished, false, NULL, NULL, $6, $7, $8, $9, $10) AS f`;

/** Replaces the way a worker's backend runs that one command; arguments and answers stay BullMQ's. */
export function batchPostgresEnds(backend: PostgresQueueBackend, pool: Pick<Pool, 'query'>, concurrency: number): void {
  const run = runOf(backend);
  const each = (batch: readonly Params[]) => Promise.all(batch.map((params) => run(command, params).catch(asError)));
  const together = async (batch: readonly Params[]): Promise<Rows[]> => {
    // In the order of ids, as every other process takes its rows: two batches then wait for each other and do not deadlock.
    const sorted = batch.toSorted((a, b) => (String(a[1]) < String(b[1]) ? -1 : 1));
    const column = (index: number) => sorted.map((params) => params[index]);
    const [queue, , , , , , , , lease, now, worker, limit, window] = sorted.at(-1) ?? [];
    const values = [queue, column(1), column(2), column(3), column(4), lease, now, worker, limit, window];
    const { rows } = await pool.query<Row>({ name: 'jobfleet-end', text: statement, values });
    const byEntry = new Map(rows.map((row) => [sorted[Number(row['ord']) - 1], row]));
    return batch.map((params) => {
      const row = byEntry.get(params);
      return { rows: row === undefined ? [] : [row] };
    });
  };
  const end = gather<Params, Rows>({
    most: Math.min(Math.max(Math.floor(concurrency / 2), 1), 25),
    mostWeight: 1_024 * 1_024,
    weigh: (params) => String(params[3]).length,
    lanes: 2,
    async send(batch) {
      if (batch.length === 1) return each(batch);
      try {
        return await together(batch);
      } catch (error) {
        if (isLost(error)) throw error;
        // One transaction: one lost lock undid all of them. Alone each gets the answer that is its own.
        return each(batch);
      }
    },
  });
  const batched: Run = (name, params) => (name === command && keepsAll(params) ? end(params) : run(name, params));
  Object.defineProperty(backend, 'run', { value: batched });
}

function keepsAll([, , , , , remove, age, count]: Params): boolean {
  return remove === false && (age ?? null) === null && (count ?? null) === null;
}

/** BullMQ declares it private; the tests of this file fail when it is no longer there. */
function runOf(backend: PostgresQueueBackend): Run {
  const run: unknown = Reflect.get(backend, 'run');
  if (!isRun(run)) throw new TypeError('this BullMQ runs its statements in another way than the one known here');
  return (name, params) => run.call(backend, name, params);
}

const isRun = (value: unknown): value is Run => typeof value === 'function';
