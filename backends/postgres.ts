/** The store on PostgreSQL: BullMQ's tables in schema `bullmq`, ours in `jobfleet`, one pool for everything in a process. */
import { isPgPool, PostgresConnection, PostgresQueueBackend } from 'bullmq';
import type { Pool } from 'pg';
import { type Backend, type BackendKind, type BackendOptions, capabilities } from './backend.ts';
import { batchLogs } from './batched-logs.ts';
import { createClasses, type StoreFactory } from './bullmq.ts';
import { postgresControl } from './control-postgres.ts';
import { postgresFailed } from './failed-postgres.ts';
import { addFlowInTurn, addInTurn, type TagStore } from './fairness.ts';
import { postgresTags } from './fairness-postgres.ts';
import { postgresLimiters } from './limiter.ts';
import { batchPostgresAdds } from './postgres-batched-adds.ts';
import { batchPostgresEnds } from './postgres-batched-ends.ts';
import { postgresLogs } from './postgres-batched-logs.ts';
import { explainPostgres } from './postgres-explain.ts';
import { judgePostgres, viewPostgres } from './postgres-findings.ts';
import { openPool } from './postgres-pool.ts';
import { migrate } from './postgres-schema.ts';
import { postgresSql } from './postgres-sql.ts';
import { sweepByStore } from './postgres-sweep.ts';
import { postgresRecords, sweepRecords } from './records-postgres.ts';
import { postgresRewrite } from './rewrite-postgres.ts';
import { postgresScanner } from './search-postgres.ts';
import { reportOnce, shownUrl } from './unreachable.ts';
import { claimInTurn, gatherMetrics } from './watched.ts';

export { migrate } from './postgres-schema.ts';

export interface PostgresOptions extends BackendOptions {
  readonly kind: Exclude<BackendKind, 'redis'>;
  /** How messages name the store. Default: its address without the password. */
  readonly shownAs?: string;
  /** Called last, when every connection is closed. */
  readonly afterClose?: () => Promise<void>;
}

/** Connections for everything but workers and event readers. */
const ownConnections = 10;

/** Connects, migrates both schemas when needed, and answers; or throws `BackendError`. Needs PostgreSQL 14 or newer. */
export async function openPostgres(url: string, options: PostgresOptions): Promise<Backend> {
  const onError = reportOnce(options.onError);
  const shown = shownAs(url, options);
  const pool = await openMigrated(url, options, onError);
  const flushes = new Set<() => Promise<void>>();
  const tags = postgresTags(pool);
  const factory = postgresFactory(pool, { batching: options.batching ?? true, tags, flushes, onError });
  const classes = createClasses({ factory, removeOnComplete: false, onError });
  const control = postgresControl(pool, url, onError);
  let closing: Promise<void> | undefined;
  const close = async () => {
    await classes.close();
    await Promise.all(Array.from(flushes, (flush) => flush()));
    await control.close();
    await pool.end();
    await options.afterClose?.();
  };
  return {
    ...classes,
    ...addFlowInTurn(classes, tags),
    kind: options.kind,
    capabilities: capabilities[options.kind],
    // The delayed state keeps the job's place in the queue; BullMQ's way back to waiting would put it at the tail.
    handBack: (job, token) => job.moveToDelayed(Date.now(), token),
    records: postgresRecords(pool, options.batching ?? true),
    tags,
    limiter: postgresLimiters(pool),
    // A full disk is the operator's to watch; PostgreSQL does not know of it before it is there.
    fullness: async () => undefined,
    control,
    sql: postgresSql(pool),
    rewrite: postgresRewrite(pool),
    scanner: postgresScanner(pool),
    failed: postgresFailed(pool),
    leaseConnection: { kind: 'postgres', url, schema: 'bullmq' },
    chores: [{ name: 'expired records', everyMs: 60_000, run: async () => void (await sweepRecords(pool, 10_000)) }],
    now: () => askTime(pool),
    async ping() {
      try {
        await pool.query('SELECT 1');
      } catch (error) {
        throw explainPostgres(shown, error);
      }
    },
    inspect: async () => judgePostgres(await viewPostgres(pool), pool.options.max),
    close: () => (closing ??= close()),
  };
}

async function openMigrated(url: string, options: PostgresOptions, onError: (error: Error) => void): Promise<Pool> {
  const pool = openPool(url, {
    max: ownConnections + (options.connections ?? 20),
    // Ours alone: a deadlock shows after 0.1 s instead of 1 s, that long everything behind it stands.
    ...(options.kind === 'embedded' ? { deadlockTimeoutMs: 100 } : {}),
    onError,
  });
  try {
    await migrate(pool);
    return pool;
  } catch (error) {
    await pool.end();
    throw explainPostgres(shownAs(url, options), error);
  }
}

function shownAs(url: string, options: PostgresOptions): string {
  return options.shownAs ?? `PostgreSQL at ${shownUrl(url)}`;
}

async function askTime(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ ms: number }>(
    'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms',
  );
  if (rows[0] === undefined) throw new RangeError('PostgreSQL answered the question for its time with no row');
  return rows[0].ms;
}

interface FactoryParts {
  readonly batching: boolean;
  readonly tags: TagStore;
  /** To be called before the pool ends. */
  readonly flushes: Set<() => Promise<void>>;
  readonly onError: (error: Error) => void;
}

/** BullMQ's backend over the shared pool. The schema was checked when the pool was opened: asking again per class would cost a round trip each, and BullMQ keeps a failed answer for ever. */
function postgresFactory(pool: Pool, { batching, tags, flushes, onError }: FactoryParts): StoreFactory {
  if (!isPgPool(pool)) throw new TypeError('expected a pg.Pool');
  return (name, options, wants) => {
    const connection = new PostgresConnection(pool);
    connection.waitUntilReady = () => Promise.resolve();
    const listenName =
      wants.withBlockingConnection === true ? name : wants.blocking === true ? `${name}:qe` : undefined;
    const backend = new PostgresQueueBackend(connection, name, { ...options, connection: pool }, true, listenName);
    if (listenName === undefined) {
      if (batching) batchPostgresAdds(backend, pool, name);
      addInTurn(backend, name, tags);
    }
    if (wants.withBlockingConnection === true) {
      claimInTurn(backend);
      if (batching) {
        batchPostgresEnds(backend, pool, options.concurrency ?? 1);
        batchLogs(backend, postgresLogs(pool, name));
        flushes.add(gatherMetrics(backend, pool, name, onError));
      }
      sweepByStore(backend, pool, name, options);
    }
    return backend;
  };
}
