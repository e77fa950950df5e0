/** pg-boss 12 in its best setting: woken by the database, batches, and the next fetch at once while batches are full. */
import { Pool } from 'pg';
import type { Payload } from './payload.ts';
import type { PeerOptions } from './peers.ts';
import { handle, retrying, type Side } from './side.ts';

interface Boss {
  on(event: 'error', listener: (error: Error) => void): void;
  start(): Promise<unknown>;
  stop(options: object): Promise<void>;
  createQueue(name: string, options: object): Promise<void>;
  send(name: string, data: object): Promise<unknown>;
  insert(name: string, jobs: readonly { readonly data: object }[]): Promise<unknown>;
  work(
    name: string,
    options: object,
    handler: (jobs: readonly { readonly data: Payload }[]) => Promise<unknown>,
  ): Promise<unknown>;
  offWork(name: string, options?: object): Promise<void>;
  deleteAllJobs(name: string): Promise<unknown>;
}

const queue = 'raw';

export async function openPgBoss({ server, module, atOnce }: PeerOptions): Promise<Side> {
  const PgBoss = module['PgBoss'] as new (options: object) => Boss;
  const pool = new Pool({ connectionString: server.url, max: 1 });
  const boss = new PgBoss({ connectionString: server.url, max: 30, useListenNotify: true });
  boss.on('error', (error) => void process.stderr.write(`${error.message}\n`));
  await boss.start();
  await boss.createQueue(queue, {
    retryLimit: retrying.attempts - 1,
    retryBackoff: true,
    retryDelay: retrying.delayMs / 1_000,
    deleteAfterSeconds: 86_400,
    notify: true,
  });
  return {
    name: 'pg-boss',
    add: async (payload) => void (await boss.send(queue, payload)),
    addMany: async (payloads) =>
      void (await boss.insert(
        queue,
        payloads.map((data) => ({ data })),
      )),
    work: async () => {
      const options = { batchSize: atOnce, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5, localConcurrency: 2 };
      await boss.work(queue, options, (jobs) => Promise.all(jobs.map(({ data }) => handle(data))));
      return { stop: () => boss.offWork(queue, { wait: true }) };
    },
    // Its own statistics are a few seconds old.
    counts: async () => {
      const { rows } = await pool.query<{ state: string; count: number }>(
        'SELECT state::text, count(*)::int AS count FROM pgboss.job WHERE name = $1 GROUP BY 1',
        [queue],
      );
      const count = (state: string): number => rows.find((row) => row.state === state)?.count ?? 0;
      return { waiting: count('created'), active: count('active'), delayed: count('retry'), failed: count('failed') };
    },
    clear: async () => void (await boss.deleteAllJobs(queue)),
    close: async () => {
      await boss.stop({ graceful: false });
      await pool.end();
    },
  };
}
