/**
 * A worker process over the test jobs, as `jobfleet worker` is one over the real ones; tests/support/compiled.ts says how it is run.
 * DEAF=on: its claims never return, as over connections that are gone without a word; it then looks every second.
 * HOLD: a `Hold` as JSON: it stops jobs there.
 * QUEUE_URL, STORAGE_URL and the variables of workers/env.ts say how; JOBS: see registries.ts. Prints `ready` when it claims, its log otherwise.
 */
import type { Backend } from '../../backends/backend.ts';
import { openBackend } from '../../backends/open.ts';
import { exitWhenStuck } from '../../cli/stuck.ts';
import { createClient } from '../../producers/client.ts';
import { mergeCollections } from '../../runtime/documents.ts';
import { parseEnv } from '../../runtime/env.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { mongoPools, openDocuments } from '../../runtime/open-documents.ts';
import { openObjectStore } from '../../runtime/open-object-store.ts';
import { createShutdown } from '../../runtime/shutdown.ts';
import { workersEnv } from '../../workers/env.ts';
import { startWorkers } from '../../workers/main.ts';
import acting from './fleet-jobs/acting/job.ts';
import { type Hold, holding } from './holding.ts';
import { registryOf } from './registries.ts';

const log = createLog({ name: 'worker', pretty: false });
const env = parseEnv(workersEnv, process.env);
const backend = await openBackend(process.env['QUEUE_URL'] ?? '', {
  onError: (error) => log.warn({ err: error }, 'store'),
});
const objects = await openObjectStore(process.env['STORAGE_URL'] ?? '', { baseDir: '.' });
const registry = await registryOf(process.env['JOBS']);
const documents = await openDocuments(mergeCollections([...registry.jobs.values()].map((job) => job.collections)), {
  mongoUrl: process.env['MONGODB_URL'],
  sql: backend.sql,
  pool: mongoPools.worker,
});
const client = createClient({ backend, registry });
export const metrics = createMetrics();
const isDeaf = process.env['DEAF'] === 'on';
const parts = { backend: isDeaf ? deafened(backend) : backend, client, documents, objects };
const hold = process.env['HOLD'];
export const fleet = await startWorkers({
  registry,
  ...(hold === undefined ? parts : holding(parts, JSON.parse(hold) as Hold)),
  ...(isDeaf ? { silenceMs: 1_000 } : {}),
  log,
  metrics,
  env,
  handlerEnv: process.env,
});
export const shutdown = createShutdown({ log });
shutdown.add({
  name: 'drain',
  deadlineMs: env.SHUTDOWN_MS + 1_000,
  run: async () => {
    await fleet.stop(env.SHUTDOWN_MS);
  },
});
shutdown.add({
  name: 'close store',
  deadlineMs: 5_000,
  run: async () => {
    await documents?.close();
    await backend.close();
  },
});
shutdown.listen();
exitWhenStuck(fleet, shutdown);
process.stdout.write('ready\n');
// PRODUCE=n: also a producer, which says which jobs were accepted.
for (let left = Number(process.env['PRODUCE'] ?? 0); left > 0; left -= 1) {
  const { id } = await client.enqueue(acting, { act: 'effect' });
  process.stdout.write(`accepted ${id}\n`);
}

function deafened(store: Backend): Backend {
  const never = new Promise<never>(() => undefined);
  return {
    ...store,
    worker(...parts) {
      const made = store.worker(...parts);
      Object.assign(made.worker.getBackend(), { moveToActive: () => never, waitForJob: () => never });
      return made;
    },
  };
}
