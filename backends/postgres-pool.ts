/** The one `pg.Pool` of a process, which outlives deadlocks and restarts of its server. */
import { setTimeout as wait } from 'node:timers/promises';
import { Pool } from 'pg';
import { errorCode, errorText } from './unreachable.ts';

/** Rolled back whole by the server: the same statement may simply run again. */
const conflicts = new Set(['40001', '40P01']);
/** The server is going away, gone, not yet back, or has no connection left. */
const losses = new Set([
  '08000',
  '08001',
  '08003',
  '08006',
  '53300',
  '57P01',
  '57P02',
  '57P03',
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
]);
const lostWords = /^(Connection terminated|Client has encountered a connection error|server closed the connection)/;
/** A statement waits this long for a lost server to come back; then its error is the caller's. */
const patienceMs = 10_000;

export interface PoolSettings {
  /** Connections at most. Every worker and event reader keeps one for itself. */
  readonly max: number;
  readonly deadlockTimeoutMs?: number;
  readonly onError: (error: Error) => void;
}

/**
 * `search_path` finds BullMQ's objects first. `query` repeats what the server rolled back for a deadlock or a
 * serialization failure: BullMQ's claims, sweeps and moves deadlock with each other, and it would book the victim as a
 * failure of a job that had succeeded. It also waits up to 10 s for a lost server. A statement that was applied
 * unseen runs twice: BullMQ's finish then reports a lost lock, an add of the same id is a no-op, and a double claim is
 * swept after its lease.
 */
export function openPool(url: string, settings: PoolSettings): Pool {
  const timeout =
    settings.deadlockTimeoutMs === undefined ? '' : ` -c deadlock_timeout=${settings.deadlockTimeoutMs}ms`;
  const pool = new Pool({
    ...withOptions(url, `-c search_path=bullmq,public${timeout}`),
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    max: settings.max,
  });
  // Without a listener an idle connection that dies with its server takes the process along.
  pool.on('error', (error) => {
    // `end` resolves before the server has seen every goodbye: one that it cuts off meanwhile is no news.
    if (!pool.ending) settings.onError(error);
  });
  // The pool listens to what nobody holds. Whoever holds a connection that is lost hears it from the statement under way,
  // or from the next one; the event, without a listener, would take the process along.
  pool.on('connect', (client) => client.on('error', () => undefined));
  // BullMQ adds one listener per class.
  pool.setMaxListeners(0);
  const query = pool.query.bind(pool);
  return Object.assign(pool, {
    query: (text: string, values?: unknown[]) =>
      query(text, values).catch((error: unknown) => repeat(() => query(text, values), error, pool, { losses: true })),
  });
}

/** Connection settings with our server options behind those the address may carry. */
export function withOptions(url: string, options: string): { connectionString: string; options: string } {
  if (!URL.canParse(url)) return { connectionString: url, options };
  const address = new URL(url);
  const given = address.searchParams.get('options');
  address.searchParams.delete('options');
  return { connectionString: address.href, options: given === null ? options : `${given} ${options}` };
}

/** Runs what the server rolled back for a conflict again, and with `losses` also what was lost with its connection. */
export async function repeated<T>(pool: Pool, run: () => Promise<T>, wishes: { readonly losses: boolean }): Promise<T> {
  try {
    return await run();
  } catch (error) {
    return repeat(run, error, pool, wishes);
  }
}

async function repeat<T>(
  run: () => Promise<T>,
  first: unknown,
  pool: Pool,
  { losses: mayRepeat }: { readonly losses: boolean },
): Promise<T> {
  const deadline = Date.now() + patienceMs;
  let error = first;
  for (let round = 0; ; round += 1) {
    const lost = isLost(error);
    const isOurs = lost ? mayRepeat : conflicts.has(errorCode(error));
    if (!isOurs || Date.now() > deadline || pool.ending) throw error;
    // Jitter parts two victims that would meet again.
    await wait(lost ? Math.min(50 * 2 ** round, 1_000) : Math.random() * Math.min(2 ** round, 50));
    if (pool.ending) throw error;
    try {
      return await run();
    } catch (next) {
      error = next;
    }
  }
}

/** The connection or the server was lost, as opposed to a statement that was refused. */
export function isLost(error: unknown): boolean {
  return losses.has(errorCode(error)) || lostWords.test(errorText(error));
}
