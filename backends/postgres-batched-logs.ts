/** Log lines on PostgreSQL: those of several jobs in one statement and one commit. */
import type { Pool } from 'pg';
import type { Append } from './batched-logs.ts';
import { isLost } from './postgres-pool.ts';

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
    try {
      const { rows } = await pool.query<{ id: string; count: number }>({
        name: 'jobfleet-log',
        text: statement,
        values,
      });
      const counts = new Map(rows.map(({ id, count }) => [id, count]));
      return jobs.map(({ id }) => counts.get(id));
    } catch (error) {
      if (isLost(error)) throw error;
      return [];
    }
  };
}
