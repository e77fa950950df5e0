/**
 * Renews the leases of running jobs over one connection of its own, so that a worker's lease thread shares nothing with
 * the main loop it watches. It does what BullMQ's `extendLocks` does without BullMQ: a thread that loads it takes a tenth
 * of a second and 20 MB more.
 */
import { createRequire } from 'node:module';
import type { LeaseConnection } from './backend.ts';

export interface LeaseRenewer {
  /**
   * Extends the claims `ids[n]` held with `tokens[n]` to `leaseMs` from now, in one round trip. Answers the ids whose
   * claim is lost: swept, ended, or claimed again by somebody else. Throws when the store does not answer.
   */
  extend(queue: string, ids: string[], tokens: string[], leaseMs: number): Promise<string[]>;
  close(): Promise<void>;
}

/** Connects at once. Errors of an idle connection are not reported here: the next `extend` throws them. */
export async function openLeaseRenewer(connection: LeaseConnection): Promise<LeaseRenewer> {
  const line = await (connection.kind === 'redis' ? overRedis(connection) : overPostgres(connection));
  return {
    ...line,
    extend: async (queue, ids, tokens, leaseMs) => (ids.length === 0 ? [] : line.extend(queue, ids, tokens, leaseMs)),
  };
}

const ignore = () => undefined;

// ARGV: prefix of the queue's keys, lease in ms, then id and token of each claim.
const extendOnRedis = `
  redis.call('PERSIST', KEYS[1]) -- a change that changes nothing: a full Redis lets the script go on (when-full.ts)
  local lost = {}
  for at = 3, #ARGV, 2 do
    local id, token = ARGV[at], ARGV[at + 1]
    local lock = ARGV[1] .. id .. ':lock'
    if redis.call('GET', lock) == token then
      redis.call('SET', lock, token, 'PX', ARGV[2])
      redis.call('SREM', KEYS[1], id)
    else
      lost[#lost + 1] = id
    end
  end
  return lost`;

async function overRedis({ url }: Extract<LeaseConnection, { kind: 'redis' }>): Promise<LeaseRenewer> {
  const [{ dial, queuePrefix }, { openLines }, { script }, { parseRedisUrl }] = await Promise.all([
    import('./redis-client.ts'),
    import('./redis-lines.ts'),
    import('./redis-script.ts'),
    import('./redis-url.ts'),
  ]);
  const address = parseRedisUrl(url);
  const client = await dial(address, ignore);
  // Hears of fail-overs.
  const lines = openLines(client, address, ignore);
  const extend = script(extendOnRedis);
  return {
    async extend(queue, ids, tokens, leaseMs) {
      const prefix = `${queuePrefix(address.form, queue)}:${queue}:`;
      const claims = ids.flatMap((id, index) => [id, tokens[index] ?? '']);
      const lost = await extend(client, [`${prefix}stalled`], [prefix, leaseMs, ...claims]);
      if (!Array.isArray(lost)) throw new TypeError(`Redis answered a renewal of leases with ${typeof lost}`);
      return lost.map(String);
    },
    async close() {
      await lines.close();
      client.disconnect();
    },
  };
}

async function overPostgres({ url, schema }: Extract<LeaseConnection, { kind: 'postgres' }>): Promise<LeaseRenewer> {
  const [{ Pool }, { withOptions }] = await Promise.all([import('pg'), import('./postgres-pool.ts')]);
  const statement = stockStatement('extend_locks.sql');
  const pool = new Pool({
    ...withOptions(url, `-c search_path=${schema},public`),
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 0,
    keepAlive: true,
    max: 1,
  });
  pool.on('error', ignore);
  await pool.query('SELECT 1');
  return {
    async extend(queue, ids, tokens, leaseMs) {
      const { rows } = await pool.query<{ id: string }>(statement, [queue, ids, tokens, leaseMs, Date.now()]);
      return rows.map(({ id }) => id);
    },
    close: () => pool.end(),
  };
}

/** A statement of the installed BullMQ, read without loading BullMQ. */
function stockStatement(name: string): string {
  const { SQL_COMMANDS: commands }: { SQL_COMMANDS?: Readonly<Record<string, string | undefined>> } = createRequire(
    import.meta.url,
  )('bullmq/dist/cjs/postgres/sql-scripts.js');
  const statement = commands?.[name];
  if (statement === undefined) throw new Error(`this BullMQ has no ${name}, by which leases are renewed`);
  return statement;
}
