/** Our side: client and workers of a whole fleet process (fences, once, registry, leases on their thread), on any store. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBackend } from '../backends/open.ts';
import type { EnqueueOptions, Job } from '../jobs/define.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { createClient } from '../producers/client.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { openObjectStore } from '../runtime/open-object-store.ts';
import { createSecretBox } from '../runtime/secret-box.ts';
import { workersEnv } from '../workers/env.ts';
import { startWorkers } from '../workers/main.ts';
import noop from './jobs/noop/job.ts';
import type { Payload } from './payload.ts';
import type { Server } from './servers.ts';
import { concurrency, countsOf, type Side } from './side.ts';

export interface OursOptions {
  /** Which job type of `bench/jobs`. Default `noop`. */
  readonly type?: Job;
  /** Attempts at once. Default 50. */
  readonly atOnce?: number;
  /** `none`: completed jobs are removed. Default: what our stores keep (a day, 10,000). */
  readonly keep?: 'none';
  /** False: adds and completions each by themselves, as BullMQ does it. Default true. */
  readonly batching?: boolean;
  /** Every attempt writes its line there. Default: no line. */
  readonly log?: Log;
  /** The tenant of the next job. Default: of nobody. */
  readonly tenant?: () => string;
}

const fail = (error: Error): void => void process.stderr.write(`${error.message}\n`);
/** Of the process, as in a fleet: they watch its event loop and its collector. */
const metrics = createMetrics();
const quiet = createLog({ name: 'bench', level: 'error', pretty: false });

export async function openOurs(server: Pick<Server, 'url'>, options: OursOptions = {}): Promise<Side> {
  const { type = noop, atOnce = concurrency, tenant, batching = true, log = quiet } = options;
  const backend = await openBackend(server.url, { onError: fail, batching });
  const registry = await loadRegistry(new URL('./jobs/', import.meta.url));
  const secrets = createSecretBox([{ id: 'bench', key: randomUUID() }]);
  const client = createClient({ backend, registry, metrics, secrets });
  const folder = join(tmpdir(), `jobfleet-bench-${randomUUID()}`);
  const objects = await openObjectStore('file:objects', { baseDir: folder });
  const queue = backend.queue(type.name, options.keep === 'none' ? { removeOnComplete: true } : undefined);
  const optionsOf = (): EnqueueOptions | undefined => (tenant === undefined ? undefined : { tenant: tenant() });
  return {
    name: 'ours',
    add: async (payload) => void (await client.enqueue(type, payload, optionsOf())),
    addMany: async (payloads) =>
      void (await client.enqueueMany(
        type,
        payloads.map((payload) => itemOf(payload, optionsOf())),
      )),
    work: async () => {
      const fleet = await startWorkers({
        registry,
        backend,
        client,
        objects,
        secrets,
        log,
        metrics,
        env: workersEnv.parse({ CONCURRENCY: atOnce, LOG_SUCCESS_SAMPLE: log === quiet ? 0 : 1 }),
        handlerEnv: {},
        queues: [type.name],
      });
      return { stop: async () => void (await fleet.stop(10_000)) };
    },
    counts: () => countsOf(queue),
    clear: () => queue.obliterate({ force: true }),
    close: async () => {
      await backend.close();
      await objects.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const itemOf = (payload: Payload, options: EnqueueOptions | undefined) =>
  options === undefined ? { payload } : { payload, options };
