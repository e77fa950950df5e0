/** Jobs of one state or one tenant from BullMQ's job table: keyset pages over its own indexes and one of ours. */
import type { Pool } from 'pg';
import type { FoundState, JobList, JobScanner, ScannedJob } from './find.ts';

/** The two columns a list is in order of, the first a number. */
const keys: Readonly<Record<FoundState, readonly [string, string]>> = {
  active: ['coalesce(processed_at_ms, 0)', 'id'],
  waiting: ['priority', 'seq'],
  delayed: ['process_at_ms', 'id'],
  'waiting-children': ['seq', 'id'],
  completed: ['finished_at_ms', 'id'],
  failed: ['finished_at_ms', 'id'],
};

interface Row extends Omit<ScannedJob, 'hasText' | 'place'> {
  readonly hasText: boolean | null;
  readonly first: string;
  readonly second: string;
}

export function postgresScanner(pool: Pool): JobScanner {
  return {
    perCall: 60_000,
    textPerList: Number.POSITIVE_INFINITY,
    async scan({ queue, list, after, count, text }) {
      const { condition, value, first, second } = partsOf(list);
      const place = after === undefined ? undefined : readPlace(after);
      const { rows } = await pool.query<Row>(
        `SELECT id, state::text AS state, coalesce(opts->'jobfleet'->>'tenant', '-') AS tenant,
                coalesce(failed_reason, '') AS reason, added_at_ms::float8 AS "createdAt",
                (${first})::text AS first, ${second}::text AS second,
                CASE WHEN $4::text IS NULL THEN true
                     ELSE data::text ILIKE $4 OR coalesce(failed_reason, '') ILIKE $4 OR id ILIKE $4 END AS "hasText"
           FROM bullmq.job
          WHERE queue = $1 AND ${condition}
            ${place === undefined ? '' : `AND (${first}, ${second}) < ($5, $6)`}
          ORDER BY ${first} DESC, ${second} DESC LIMIT $3`,
        [queue, value, count, text === undefined ? null : `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`, ...(place ?? [])],
      );
      const jobs = rows.map(({ first: a, second: b, hasText, ...job }) => ({
        ...job,
        hasText: hasText === true,
        place: `${a} ${b}`,
      }));
      return { jobs, next: rows.length < count ? undefined : jobs.at(-1)?.place };
    },
  };
}

function partsOf(list: JobList) {
  if ('tenant' in list) {
    // The words of our index, so that it is used.
    const condition = `opts->'jobfleet'->>'tenant' = $2`;
    return { condition, value: list.tenant, first: 'added_at_ms', second: 'id' };
  }
  const [first, second] = keys[list.state];
  // A literal: the planner matches the partial indexes of BullMQ by it.
  return { condition: `state = '${list.state}' AND $2::text IS NOT NULL`, value: list.state, first, second };
}

function readPlace(place: string): [string, string] {
  const [, first, second] = /^(-?\d{1,19}) (\S{1,200})$/.exec(place) ?? [];
  if (first === undefined || second === undefined) throw new RangeError('no place in a list of PostgreSQL');
  return [first, second];
}
