/** Dead letters in bulk from BullMQ's job table: one statement each, payload and stack left where they are. */
import type { Pool } from 'pg';
import type { FailedReader, FailedRow } from './backend.ts';

export function postgresFailed(pool: Pool): FailedReader {
  return {
    async ids(queue, limit) {
      const { rows } = await pool.query<{ id: string; failedAt: number }>(
        `SELECT id, finished_at_ms::float8 AS "failedAt" FROM bullmq.job
          WHERE queue = $1 AND state = 'failed' ORDER BY finished_at_ms DESC, id DESC LIMIT $2`,
        [queue, limit],
      );
      return rows;
    },
    async rows(queue, ids) {
      const { rows } = await pool.query<FailedRow>(
        `SELECT id, name, coalesce(opts->'jobfleet'->>'tenant', '-') AS tenant, coalesce(failed_reason, '') AS reason,
                attempts_made AS attempts, added_at_ms::float8 AS "createdAt", finished_at_ms::float8 AS "failedAt"
           FROM bullmq.job WHERE queue = $1 AND state = 'failed' AND id = ANY($2::text[])`,
        [queue, ids],
      );
      return rows;
    },
  };
}
