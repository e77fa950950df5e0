/**
 * Renews the leases of running jobs over one connection of its own, so that a worker's lease thread shares nothing with
 * the main loop it watches. It does what BullMQ's `extendLocks` does without BullMQ, because a thread that loads it takes a
 * tenth of a second and 20 MB more, and by the store's clock: this machine's may be set while a job runs.
 */
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
  const { client } = await dial(address, ignore);
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

const extendOnPostgres = `
  WITH held AS (
    SELECT * FROM unnest($2::text[], $3::text[]) AS h (id, token)
  ), extended AS (
    UPDATE job SET locked_until_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $4::bigint
      FROM held
     WHERE job.queue = $1 AND job.id = held.id AND state = 'active' AND lock_token = held.token
    RETURNING job.id
  )
  SELECT id FROM held WHERE id NOT IN (SELECT id FROM extended)`;

async function overPostgres({ url, schema }: Extract<LeaseConnection, { kind: 'postgres' }>): Promise<LeaseRenewer> {
  const [{ Pool }, { withOptions }] = await Promise.all([import('pg'), import('./postgres-pool.ts')]);
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
      const { rows } = await pool.query<{ id: string }>(extendOnPostgres, [queue, ids, tokens, leaseMs]);
      return rows.map(({ id }) => id);
    },
    close: () => pool.end(),
  };
}
