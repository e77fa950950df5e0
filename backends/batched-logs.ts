/**
 * Log lines that come together leave together and in order: one step of the store for all that were written while the
 * last answer was awaited. On PostgreSQL a line alone costs a commit, and two that come together want the same number.
 */
import type { IQueueBackend } from 'bullmq';
import type { Pool } from 'pg';
import { gather } from './gather.ts';
import { isLost } from './postgres-pool.ts';
import { type ScriptLine, script } from './redis-script.ts';
import { asError } from './unreachable.ts';

/** New lines of one job. */
interface Lines {
  readonly id: string;
  readonly rows: string[];
  /** The newest so many stay; undefined: all. */
  keep: number | undefined;
}

interface Row {
  readonly id: string;
  readonly row: string;
  readonly keep: number | undefined;
}

/**
 * Stores the lines of several jobs; answers for each how many it now has, or why it has none of these, and undefined for
 * a job that is not there. Rejecting = nothing was stored.
 */
type Append = (jobs: readonly Lines[]) => Promise<readonly (number | Error | undefined)[]>;

/** Replaces `addLog` on the instance. One batch at a time: a second one under way could overtake the first. */
export function batchLogs(backend: IQueueBackend, append: Append): void {
  const stock = backend.addLog.bind(backend);
  const add = gather<Row, number>({
    most: 200,
    mostWeight: 256 * 1_024,
    weigh: ({ row }) => row.length,
    lanes: 1,
    async send(batch) {
      const jobs = byJob(batch);
      const counts = await append([...jobs.values()]).catch((error: unknown) => {
        if (isLost(error)) throw error;
        return [];
      });
      const answerOf = new Map(Array.from(jobs.keys(), (id, at) => [id, counts[at]]));
      const answers: (number | Error)[] = [];
      // What was refused together gets, one after the other, the answer that is BullMQ's.
      for (const { id, row, keep } of batch)
        answers.push(answerOf.get(id) ?? (await stock(id, row, keep).catch(asError)));
      return answers;
    },
  });
  // 0 keeps all, as in BullMQ.
  backend.addLog = (id, row, keep) => add({ id, row, keep: keep === 0 ? undefined : keep });
}

function byJob(batch: readonly Row[]): Map<string, Lines> {
  const jobs = new Map<string, Lines>();
  for (const { id, row, keep } of batch) {
    const job = jobs.get(id);
    if (job === undefined) jobs.set(id, { id, rows: [row], keep });
    else {
      job.rows.push(row);
      job.keep = keep;
    }
  }
  return jobs;
}

// Of a batch longer than what is kept only the end is written.
const statement = `
  WITH given AS MATERIALIZED (
    SELECT g.id, g.keep, g.rows, jsonb_array_length(g.rows) AS count,
           coalesce((SELECT max(idx) + 1 FROM job_log WHERE queue = $1 AND job_id = g.id), 0) AS next
      FROM jsonb_to_recordset($2::jsonb) AS g (id text, keep bigint, rows jsonb)
      JOIN job ON job.queue = $1 AND job.id = g.id
  ), trimmed AS (
    DELETE FROM job_log l USING given
     WHERE l.queue = $1 AND l.job_id = given.id AND l.idx < given.next + given.count - given.keep
  ), stored AS (
    INSERT INTO job_log (queue, job_id, idx, row)
    SELECT $1, given.id, given.next + line.ord - 1, line.row
      FROM given, LATERAL jsonb_array_elements_text(given.rows) WITH ORDINALITY AS line (row, ord)
     WHERE given.keep IS NULL OR line.ord > given.count - given.keep
  )
  SELECT id, least(next + count, keep)::float8 AS count FROM given`;

export function postgresLogs(pool: Pick<Pool, 'query'>, queue: string): Append {
  return async (jobs) => {
    const values = [queue, JSON.stringify(jobs)];
    const { rows } = await pool.query<{ id: string; count: number }>({ name: 'jobfleet-log', text: statement, values });
    const counts = new Map(rows.map(({ id, count }) => [id, count]));
    return jobs.map(({ id }) => counts.get(id));
  };
}

// KEYS: the job, its lines. ARGV: how many stay ('' = all), the new lines.
const addLines = script(`
  if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
  local count = redis.call('RPUSH', KEYS[2], unpack(ARGV, 2))
  local keep = tonumber(ARGV[1])
  if not keep then return count end
  redis.call('LTRIM', KEYS[2], -keep, -1)
  return math.min(keep, count)`);

export function redisLogs(line: ScriptLine, keyOf: (name: string) => string): Append {
  return (jobs) =>
    Promise.all(
      jobs.map(({ id, rows, keep }) =>
        addLines(line, [keyOf(id), keyOf(`${id}:logs`)], [keep ?? '', ...rows]).then(
          (count) => (Number(count) < 0 ? undefined : Number(count)),
          asError,
        ),
      ),
    );
}
