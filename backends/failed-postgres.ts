/** Dead letters in bulk from BullMQ's job table: one statement each, payload and stack left where they are. */
import type { Pool } from 'pg';
import type { FailedReader, FailedRow } from './backend.ts';

export function postgresFailed(pool: Pool): FailedReader {
  return {
    async ids(queue, limit) {
      const { rows } = await pool.query<{ id: string; failedAt: number }>(
        `SELECT id, finished_at_ms::float8 AS "failedAt" FROM bullmq.job
          WHERE queue = $1 AND state = 'failed' ORDER BY finished_at_ms DESC LIMIT $2`,
        [queue, limit],
      );
      return rows;
    },
    async rows(queue, ids) {
      const { rows } = await pool.query<FailedRow>(
        // By the primary key, one by one: a planner that has not counted new dead letters yet would rather read all of them
        // for each call. `OFFSET 0` and the state outside keep it from that.
        `SELECT j.id, j.name, coalesce(j.opts->'jobfleet'->>'tenant', '-') AS tenant, coalesce(j.failed_reason, '') AS reason,
                j.attempts_made AS attempts, j.added_at_ms::float8 AS "createdAt", j.finished_at_ms::float8 AS "failedAt"
           FROM unnest($2::text[]) AS wanted (id),
                LATERAL (SELECT * FROM bullmq.job WHERE queue = $1 AND id = wanted.id OFFSET 0) AS j
          WHERE j.state = 'failed'`,
        [queue, ids],
      );
      return rows;
    },
  };
}
