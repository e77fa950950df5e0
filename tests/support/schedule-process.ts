/**
 * One process of a fleet over the scheduled test jobs: workers, keeper and schedules, as `jobfleet worker` has them. Run by
 * `node --import tsx`; QUEUE_URL and STORAGE_URL say where. Prints `ready` when it claims, its log otherwise.
 */
import { randomUUID } from 'node:crypto';
import { startKeeper } from '../../backends/keeper.ts';
import { openBackend } from '../../backends/open.ts';
import { keepSchedules } from '../../cli/keep-schedules.ts';
import { loadRegistry } from '../../jobs/registry.ts';
import { createClient } from '../../producers/client.ts';
import { parseEnv } from '../../runtime/env.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { openObjectStore } from '../../runtime/open-object-store.ts';
import { createShutdown } from '../../runtime/shutdown.ts';
import { workersEnv } from '../../workers/env.ts';
import { startWorkers } from '../../workers/main.ts';

const log = createLog({ name: 'worker', pretty: false });
const env = parseEnv(workersEnv, process.env);
const backend = await openBackend(process.env['QUEUE_URL'] ?? '', {
  onError: (error) => log.warn({ err: error }, 'store'),
});
const objects = await openObjectStore(process.env['STORAGE_URL'] ?? '', { baseDir: '.' });
const registry = await loadRegistry(new URL('./schedule-jobs/', import.meta.url), { leastIntervalMs: 1_000 });
const metrics = createMetrics();
const instance = randomUUID();
const schedules = keepSchedules({ backend, registry, metrics, log, instance, release: '1.0.0' });
const keeper = startKeeper({
  records: backend.records,
  instance,
  chores: [...backend.chores, schedules.chore],
  onError: (error) => log.warn({ err: error }, 'chore'),
});
const client = createClient({ backend, registry });
const fleet = await startWorkers({ registry, backend, client, objects, log, metrics, env, handlerEnv: process.env });
const shutdown = createShutdown({ log });
shutdown.add({
  name: 'drain',
  deadlineMs: env.SHUTDOWN_MS + 1_000,
  run: async () => {
    await fleet.stop(env.SHUTDOWN_MS);
  },
});
shutdown.add({ name: 'leave the keeping', deadlineMs: 5_000, run: () => keeper.close() });
shutdown.add({ name: 'close store', deadlineMs: 5_000, run: () => backend.close() });
shutdown.listen();
process.stdout.write('ready\n');
