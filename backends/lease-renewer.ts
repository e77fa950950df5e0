/**
 * Renews the leases of running jobs over one connection of its own, so that a worker's lease thread shares nothing with
 * the main loop it watches.
 */
import type { IQueueBackend, QueueOptions } from 'bullmq';
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
  const line = connection.kind === 'redis' ? await overRedis(connection) : await overPostgres(connection);
  const backends = new Map<string, IQueueBackend>();
  return {
    async extend(queue, ids, tokens, leaseMs) {
      if (ids.length === 0) return [];
      let backend = backends.get(queue);
      if (backend === undefined) {
        backend = line.forQueue(queue);
        backends.set(queue, backend);
      }
      return backend.extendLocks(ids, tokens, leaseMs);
    },
    close: () => line.close(),
  };
}

interface Line {
  readonly forQueue: (queue: string) => IQueueBackend;
  close(): Promise<void>;
}

const ignore = () => undefined;

async function overRedis({ url }: Extract<LeaseConnection, { kind: 'redis' }>): Promise<Line> {
  const [{ createRedisBackend }, { dial, queuePrefix }, { openLines }, { parseRedisUrl }] = await Promise.all([
    import('bullmq'),
    import('./redis-client.ts'),
    import('./redis-lines.ts'),
    import('./redis-url.ts'),
  ]);
  const address = parseRedisUrl(url);
  const client = await dial(address, ignore);
  // Hears of fail-overs.
  const lines = openLines(client, address, ignore);
  const settings: QueueOptions = { connection: client, prefix: queuePrefix(address.form, 'leases') };
  const backend = createRedisBackend('leases', settings);
  backend.on('error', ignore);
  await backend.waitUntilReady();
  return {
    forQueue: (queue) => backend.forQueue(queue, queuePrefix(address.form, queue)),
    async close() {
      await backend.close();
      await lines.close();
      client.disconnect();
    },
  };
}

async function overPostgres({ url, schema }: Extract<LeaseConnection, { kind: 'postgres' }>): Promise<Line> {
  const [{ createPostgresBackend, isPgPool }, { Pool }, { withOptions }] = await Promise.all([
    import('bullmq'),
    import('pg'),
    import('./postgres-pool.ts'),
  ]);
  const pool = new Pool({
    ...withOptions(url, `-c search_path=${schema},public`),
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 0,
    keepAlive: true,
    max: 1,
  });
  pool.on('error', ignore);
  if (!isPgPool(pool)) throw new TypeError('expected a pg.Pool');
  const backend = createPostgresBackend('leases', { connection: pool });
  backend.on('error', ignore);
  await backend.waitUntilReady();
  return {
    forQueue: (queue) => backend.forQueue(queue),
    async close() {
      await backend.close();
      await pool.end();
    },
  };
}
