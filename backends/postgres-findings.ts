/** How safely a PostgreSQL keeps jobs, judged by its settings. */
import type { Pool } from 'pg';
import type { StoreFinding } from './backend.ts';

export interface PostgresView {
  readonly version: number;
  readonly synchronousCommit: string;
  readonly fsync: string;
  readonly fullPageWrites: string;
  readonly isReplica: boolean;
  /** Open to ordinary users. */
  readonly maxConnections: number;
  readonly usedConnections: number;
  readonly replicas: number;
  readonly synchronousStandbys: string;
}

const question = `
  SELECT current_setting('server_version_num')::int AS version,
    current_setting('synchronous_commit') AS "synchronousCommit",
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS "fullPageWrites",
    pg_is_in_recovery() AS "isReplica",
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS "maxConnections",
    (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS "usedConnections",
    (SELECT count(*)::int FROM pg_stat_replication) AS replicas,
    current_setting('synchronous_standby_names') AS "synchronousStandbys"`;

export async function viewPostgres(pool: Pool): Promise<PostgresView> {
  const { rows } = await pool.query<PostgresView>(question);
  if (rows[0] === undefined) throw new RangeError('PostgreSQL answered the question for its settings with no row');
  return rows[0];
}

/** `perProcess`: connections this process may open. */
export function judgePostgres(view: PostgresView, perProcess: number): StoreFinding[] {
  return [judgeVersion(view), judgeDurability(view), judgeReplicas(view), judgeRoom(view, perProcess)];
}

function judgeVersion({ version }: PostgresView): StoreFinding {
  const major = Math.floor(version / 10_000);
  const shown = `${major}.${version % 10_000}`;
  if (major >= 15 && major <= 18) return { check: 'PostgreSQL', state: 'ok', detail: `${shown}.` };
  return {
    check: 'PostgreSQL',
    state: 'weak',
    detail: `${shown}: not tested.`,
    why: 'Jobfleet is tested on PostgreSQL 15 to 18.',
    fix: 'Use one of them.',
  };
}

function judgeDurability({ fsync, fullPageWrites, synchronousCommit }: PostgresView): StoreFinding {
  const check = 'durability';
  if (fsync !== 'on' || fullPageWrites !== 'on')
    return {
      check,
      state: 'unsafe',
      detail: `fsync ${fsync}, full_page_writes ${fullPageWrites}.`,
      why: 'A crash of the machine may destroy the whole database.',
      fix: 'Set both on in postgresql.conf and reload.',
    };
  if (synchronousCommit === 'off')
    return {
      check,
      state: 'unsafe',
      detail: 'synchronous_commit off.',
      why: 'A crash loses the last accepted jobs, which their callers believe stored.',
      fix: 'ALTER DATABASE … SET synchronous_commit = on, for this user too, then restart the processes.',
    };
  return {
    check,
    state: 'ok',
    detail: `synchronous_commit ${synchronousCommit}: accepted jobs survive a crash and a power cut, not the loss of the disk.`,
  };
}

function judgeReplicas({ isReplica, replicas, synchronousStandbys }: PostgresView): StoreFinding {
  const check = 'fail-over';
  if (isReplica)
    return {
      check,
      state: 'unsafe',
      detail: 'this server is a replica and takes no writes.',
      why: 'Nothing can be accepted or finished.',
      fix: 'Name the primary in QUEUE_URL (target_session_attrs=read-write with several hosts).',
    };
  if (replicas === 0) return { check, state: 'ok', detail: 'no replica: jobs live and die with one machine.' };
  const counted = `${replicas} replica${replicas === 1 ? '' : 's'}`;
  if (synchronousStandbys !== '')
    return { check, state: 'ok', detail: `${counted}, synchronous: ${synchronousStandbys}.` };
  return {
    check,
    state: 'weak',
    detail: `${counted}, none of them synchronous.`,
    why: 'Promoting one loses the jobs that had not reached it.',
    fix: 'Set synchronous_standby_names, or accept that loss in a fail-over.',
  };
}

function judgeRoom({ maxConnections, usedConnections }: PostgresView, perProcess: number): StoreFinding {
  const check = 'connections';
  const counted = `${usedConnections} of ${maxConnections} in use`;
  if (maxConnections - usedConnections >= perProcess) return { check, state: 'ok', detail: `${counted}.` };
  return {
    check,
    state: 'weak',
    detail: `${counted}: no room for a process that runs all job types (up to ${perProcess}).`,
    why: 'A process that finds no connection waits, then fails what it was asked.',
    fix: 'Raise max_connections, or run fewer processes.',
  };
}
