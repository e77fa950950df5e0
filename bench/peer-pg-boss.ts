/** pg-boss 12 in its best setting: woken by the database, batches, and the next fetch at once while batches are full. */
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
  getQueueStats(name: string, options?: object): Promise<unknown>;
}

const queue = 'raw';

export async function openPgBoss({ server, module, atOnce }: PeerOptions): Promise<Side> {
  const PgBoss = module['PgBoss'] as new (options: object) => Boss;
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
    counts: async () => {
      const [stats] = (await boss.getQueueStats(queue, { force: true })) as { readonly [count: string]: number }[];
      const count = (name: string): number => stats?.[`${name}Count`] ?? Number.NaN;
      return { waiting: count('ready'), active: count('active'), delayed: count('deferred'), failed: count('failed') };
    },
    clear: async () => void (await boss.deleteAllJobs(queue)),
    close: () => boss.stop({ graceful: false }),
  };
}
