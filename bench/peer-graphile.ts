/** graphile-worker 0.18 as its chapter on performance tunes it: jobs fetched by hundreds, ends written together. */
import type { Payload } from './payload.ts';
import type { PeerOptions } from './peers.ts';
import { type Counts, handle, retrying, type Side } from './side.ts';

interface Utils {
  migrate(): Promise<void>;
  addJob(task: string, payload: Payload, spec: object): Promise<unknown>;
  addJobs(specs: readonly object[]): Promise<unknown>;
  withPgClient<T>(
    use: (client: { query(text: string): Promise<{ readonly rows: readonly T[] }> }) => Promise<T>,
  ): Promise<T>;
  release(): Promise<void>;
}

interface Graphile {
  makeWorkerUtils(options: object): Promise<Utils>;
  run(options: object): Promise<{ stop(): Promise<void> }>;
  readonly Logger: new (factory: () => () => void) => unknown;
}

const task = 'raw';

export async function openGraphile({ server, module, atOnce }: PeerOptions): Promise<Side> {
  const graphile = module as unknown as Graphile;
  const logger = new graphile.Logger(() => () => undefined);
  const shared = { connectionString: server.url, logger };
  const utils = await graphile.makeWorkerUtils(shared);
  await utils.migrate();
  const spec = { maxAttempts: retrying.attempts };
  const query = <T>(text: string): Promise<T | undefined> =>
    utils.withPgClient<T | undefined>(async (client) => (await client.query(text)).rows[0]);
  return {
    name: 'graphile-worker',
    add: async (payload) => void (await utils.addJob(task, payload, spec)),
    addMany: async (payloads) =>
      void (await utils.addJobs(payloads.map((payload) => ({ identifier: task, payload, ...spec })))),
    work: async () => {
      const runner = await graphile.run({
        ...shared,
        noHandleSignals: true,
        taskList: { [task]: (payload: Payload) => handle(payload) },
        preset: {
          worker: {
            concurrentJobs: atOnce,
            maxPoolSize: 30,
            localQueue: { size: 500 },
            completeJobBatchDelay: 0,
            failJobBatchDelay: 0,
          },
        },
      });
      return { stop: () => runner.stop() };
    },
    counts: async () => {
      const found = await query<Counts>(`
        SELECT count(*) FILTER (WHERE locked_at IS NULL AND attempts = 0)::int AS waiting,
               count(*) FILTER (WHERE locked_at IS NOT NULL)::int AS active,
               count(*) FILTER (WHERE locked_at IS NULL AND attempts BETWEEN 1 AND max_attempts - 1)::int AS delayed,
               count(*) FILTER (WHERE locked_at IS NULL AND attempts = max_attempts)::int AS failed
          FROM graphile_worker.jobs`);
      if (found === undefined) throw new Error('graphile-worker did not count its jobs');
      return found;
    },
    clear: async () => void (await query('DELETE FROM graphile_worker._private_jobs')),
    close: () => utils.release(),
  };
}
