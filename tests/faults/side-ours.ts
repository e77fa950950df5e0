/** Jobfleet as an application uses it: a client, a worker process composed as `jobfleet worker` is, and a look at the store. */
import { randomUUID } from 'node:crypto';
import type { Worker } from 'bullmq';
import type { Backend } from '../../backends/backend.ts';
import { startKeeper } from '../../backends/keeper.ts';
import { openBackend } from '../../backends/open.ts';
import { keepSchedules } from '../../cli/keep-schedules.ts';
import { loadRegistry } from '../../jobs/registry.ts';
import { createClient } from '../../producers/client.ts';
import { parseEnv } from '../../runtime/env.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics, type Metrics } from '../../runtime/metrics.ts';
import { openObjectStore } from '../../runtime/open-object-store.ts';
import { workersEnv } from '../../workers/env.ts';
import { startWorkers } from '../../workers/main.ts';
import { openStates, type StateLog } from './logs.ts';
import { countJobs, jobsOf } from './records.ts';

import { readRuns } from './runs.ts';
import { releaseOf, tickTypes, withSchedules } from './schedules.ts';
import type { Side, SideSettings } from './side.ts';
import { countErrors, type ErrorCount } from './vitals.ts';

export async function openOurs(settings: SideSettings): Promise<Side> {
  const log = createLog({ name: 'faults', pretty: false, destination: process.stderr });
  const backend = await openBackend(settings.url, { onError: (error) => log.error({ err: error }, 'store') });
  const registry = await loadRegistry(new URL('./jobs/', import.meta.url), { leastIntervalMs: 1_000 });
  const client = createClient({ backend, registry });
  const { type = 'load', isScheduled = false } = settings.load;
  const queue = () => backend.queue(type);
  return {
    add: async (work, delayMs) =>
      client.enqueueNamed(type, work, {
        idempotencyKey: work.key,
        ...(delayMs === undefined ? {} : { delayMs }),
      }),
    counts: () => countJobs(queue()),
    records: async () => readRuns(backend.records, type, await jobsOf(queue())),
    async startWorker() {
      const env = parseEnv(workersEnv, {
        LEASE_MS: String(settings.leaseMs),
        SHUTDOWN_MS: String(settings.shutdownMs),
        CONCURRENCY: String(settings.concurrency),
        WORK_DIR: settings.folder,
      });
      const metrics = createMetrics();
      const errors = countErrors();
      errors.watch(queue());
      const objects = await openObjectStore(`file:${settings.folder}/objects`, { baseDir: '/' });
      const fleet = await startWorkers({
        registry,
        backend: watched(backend, openStates(settings.folder), errors),
        client,
        objects,
        log,
        metrics,
        env,
        queues: isScheduled ? [type, ...tickTypes] : [type],
        handlerEnv: { ...process.env, FAULTS_SINK: String(settings.sinkPort) },
      });
      let stuck: string | undefined;
      void fleet.stuck.then((reason) => {
        stuck = reason;
      });
      const instance = randomUUID();
      const declare = (round: number) =>
        keepSchedules({
          backend,
          registry: withSchedules(registry, round),
          metrics,
          log,
          instance,
          release: releaseOf(round),
        });
      const schedules = isScheduled ? declare(0) : undefined;
      const keeper = startKeeper({
        records: backend.records,
        instance,
        chores: schedules === undefined ? backend.chores : [...backend.chores, schedules.chore],
        onError: (error) => log.error({ err: error }, 'keeper'),
      });
      return {
        live: () => stuck ?? fleet.live(),
        declare: (round) => declare(round).atBoot,
        counters: async () => ({
          errors: errors.count(),
          completed: await valueOf(metrics.jobsCompleted, type),
          failed: await valueOf(metrics.jobsFailed, type),
        }),
        async stop() {
          await fleet.stop(settings.shutdownMs);
          await schedules?.atBoot;
          await keeper.close();
          await objects.close();
          await backend.close();
        },
      };
    },
    close: () => backend.close(),
  };
}

async function valueOf(counter: Metrics['jobsCompleted'], queue: string): Promise<number> {
  const { values } = await counter.get();
  return values.find(({ labels }) => labels.queue === queue)?.value ?? 0;
}

/** Writes down what the store accepted, and counts every error that is reported. Only listens: every call goes through unchanged. */
function watched(backend: Backend, note: StateLog, errors: ErrorCount): Backend {
  return {
    ...backend,
    worker(name, processor, tuning) {
      const made = backend.worker(name, processor, tuning);
      noteEnds(made.worker, note);
      errors.watch(made.worker);
      return made;
    },
  };
}

/** BullMQ tells of an end after the store has accepted it. */
export function noteEnds(worker: Worker, note: StateLog): void {
  worker.on('active', (job) => note('claimed', job.id ?? '', { fence: job.attemptsStarted }));
  worker.on('completed', (job) => note('completed', job.id ?? '', { fence: job.attemptsStarted }));
  worker.on('failed', (job, error) => {
    if (job === undefined) return;
    note('failed', job.id ?? '', {
      fence: job.attemptsStarted,
      final: job.finishedOn !== undefined,
      reason: error.message.slice(0, 200),
    });
  });
}
