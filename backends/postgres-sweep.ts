/**
 * The sweep of lost claims on PostgreSQL. BullMQ's goes by the clock of the machine that sweeps and notes the time of the
 * sweep by it: a clock that is behind would find nothing to sweep, one that is ahead would take running jobs away and keep
 * everybody from sweeping until its time has come. Here the clock is the server's.
 */
import type { PostgresQueueBackend } from 'bullmq';
import type { Pool } from 'pg';
import type { StoreSettings } from './bullmq.ts';

// A sweep noted for the future (by BullMQ's own worker with a wrong clock, or before the server's was set back) is no reason
// to wait: the interval is then so small that it is over.
const statement = `
  SELECT id
    FROM (SELECT (extract(epoch FROM statement_timestamp()) * 1000)::bigint AS now) AS clock
    LEFT JOIN meta ON meta.queue = $1 AND field = 'stalled-check',
         LATERAL move_stalled_jobs_to_wait($1, $2, now, CASE WHEN value::bigint > now THEN now - value::bigint ELSE $3 END) AS swept (id)`;

/**
 * Replaces `moveStalledJobsToWait` on the instance. What was swept also goes to the head of its queue, as on Redis: at the
 * tail, where BullMQ puts it, a backlog would hold it for as long as the backlog lasts.
 */
export function sweepByStore(
  backend: PostgresQueueBackend,
  pool: Pick<Pool, 'query'>,
  queue: string,
  { maxStalledCount, stalledInterval }: Pick<StoreSettings, 'maxStalledCount' | 'stalledInterval'>,
): void {
  backend.moveStalledJobsToWait = async () => {
    const { rows } = await pool.query<{ id: string }>(statement, [queue, maxStalledCount, stalledInterval]);
    const ids = rows.map(({ id }) => id);
    // Ids begin with a time, so pushing the newest first leaves the oldest in front.
    for (const id of ids.toSorted().toReversed()) await backend.changePriority(id, 0, true);
    return ids;
  };
}
