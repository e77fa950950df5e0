/** Another payload for a job in PostgreSQL that waits: one statement, so that no claim falls between. */
import type { Pool } from 'pg';
import type { Backend } from './backend.ts';

export function postgresRewrite(pool: Pool): Backend['rewrite'] {
  return async (queue, id, { attemptsStarted, json, facts }) => {
    const { rowCount } = await pool.query(
      `UPDATE bullmq.job
          SET data = coalesce($4::jsonb, data),
              opts = CASE WHEN $5::jsonb IS NULL THEN opts ELSE opts || jsonb_build_object('jobfleet', $5::jsonb) END
        WHERE queue = $1 AND id = $2 AND state IN ('waiting', 'delayed') AND attempts_started = $3`,
      [queue, id, attemptsStarted, json ?? null, facts === undefined ? null : JSON.stringify(facts)],
    );
    return rowCount === 1;
  };
}
