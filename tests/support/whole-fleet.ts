/** API, queue, worker process, object store and documents over a throw-away store, spoken to over HTTP as users do. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { openBackend } from '../../backends/open.ts';
import { loadRegistry } from '../../jobs/registry.ts';
import { createClient } from '../../producers/client.ts';
import { apiEnv } from '../../producers/env.ts';
import { createKeys } from '../../producers/keys.ts';
import { startApi } from '../../producers/main.ts';
import { mergeCollections, type TenantDocuments } from '../../runtime/documents.ts';
import { parseEnv } from '../../runtime/env.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { openFolderStore } from '../../runtime/object-store-folder.ts';
import { mongoPools, openDocuments } from '../../runtime/open-documents.ts';
import { startWorker } from './fleet.ts';
import type { FreshStore } from './fresh-stores.ts';

export interface JobAnswer {
  readonly id: string;
  readonly status: string;
  readonly result: Record<string, unknown> | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** What somebody with a key sees. */
export interface FleetTenant {
  /** Its objects are below `t/<tenant>/`. */
  readonly tenant: string;
  readonly documents: TenantDocuments;
  get(path: string): Promise<{ readonly status: number; readonly json: Record<string, unknown> }>;
  /** Uploads a file; answers the name payloads use. */
  upload(filename: string, bytes: Uint8Array): Promise<string>;
  /** Adds a job; answers its id. */
  add(type: string, payload: object): Promise<string>;
  /** Answers the job when it has ended. Default of `waitMs`: a minute. */
  ended(id: string, waitMs?: number): Promise<JobAnswer>;
  /** Adds a job and answers it when it has ended. */
  run(type: string, payload: object): Promise<JobAnswer>;
}

/** Itself the tenant `-`. */
export interface WholeFleet extends FleetTenant {
  readonly objects: ObjectStore;
  /** Somebody else, with a key of their own. */
  of(tenant: string): Promise<FleetTenant>;
  /** Resolves when no job of these types waits or runs; how many have completed and failed. */
  settled(types: readonly string[]): Promise<{ readonly completed: number; readonly failed: number }>;
  close(): Promise<void>;
}

export async function openWholeFleet(options: {
  readonly store: FreshStore;
  readonly queues: readonly string[];
  /** More variables of the worker process. */
  readonly env?: Readonly<Record<string, string>>;
}): Promise<WholeFleet> {
  const { queueUrl, mongoUrl } = options.store;
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-whole-'));
  // Children under ids of their own pass through it to their folders.
  await chmod(folder, 0o711);
  const backend = await openBackend(queueUrl, { onError: () => undefined });
  const registry = await loadRegistry();
  const collections = mergeCollections([...registry.jobs.values()].map((job) => job.collections));
  const documents = await openDocuments(collections, { mongoUrl, sql: backend.sql, pool: mongoPools.worker });
  if (documents === undefined) throw new Error('expected a store that keeps documents');
  const objects = await openFolderStore(join(folder, 'objects'));
  const staticKey = 'whole-fleet-'.padEnd(40, 'k');
  const server = await startApi({
    backend,
    registry,
    client: createClient({ backend, registry }),
    secrets: undefined,
    documents,
    objects,
    metrics: createMetrics(),
    env: parseEnv(apiEnv, { JOBFLEET_KEY: staticKey, HTTP_RATE_LIMIT: '0' }),
    dataDir: folder,
    version: '0.0.0',
    log: createLog({ name: 'test', level: 'silent' }),
    host: '127.0.0.1',
    port: 0,
  });
  const worker = await startWorker({
    JOBS: 'real',
    QUEUE_URL: queueUrl,
    ...(mongoUrl === undefined ? {} : { MONGODB_URL: mongoUrl }),
    QUEUES: options.queues.join(),
    STORAGE_URL: `file:${join(folder, 'objects')}`,
    WORK_DIR: folder,
    ...options.env,
  });
  const tenantOf = (tenant: string, key: string): FleetTenant =>
    openTenant(server.url, key, tenant, documents.of(tenant), worker.output);
  const keys = createKeys({ records: backend.records });
  return {
    ...tenantOf('-', staticKey),
    objects,
    of: async (tenant) => tenantOf(tenant, (await keys.create({ tenant, scopes: ['jobs'] })).key),
    settled: (types) =>
      vi.waitFor(
        async () => {
          const counts = { completed: 0, failed: 0 };
          for (const type of types) {
            const now = await backend
              .queue(type)
              .getJobCounts('waiting', 'prioritized', 'active', 'delayed', 'completed', 'failed');
            const busy = ['waiting', 'prioritized', 'active', 'delayed'].reduce(
              (sum, state) => sum + (now[state] ?? 0),
              0,
            );
            if (busy > 0) throw new Error(`${type} has ${busy} jobs to do`);
            counts.completed += now['completed'] ?? 0;
            counts.failed += now['failed'] ?? 0;
          }
          return counts;
        },
        { timeout: 60_000, interval: 100 },
      ),
    async close() {
      worker.child.kill('SIGKILL');
      await worker.exited;
      await server.close();
      await objects.close();
      await documents.close();
      await backend.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function openTenant(
  url: string,
  key: string,
  tenant: string,
  documents: TenantDocuments,
  output: () => string,
): FleetTenant {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const ask = async (method: string, path: string, body?: object) => {
    const answer = await fetch(url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
  };
  const self: FleetTenant = {
    tenant,
    documents,
    get: (path) => ask('GET', path),
    async upload(filename, bytes) {
      const contentType = 'application/octet-stream';
      const place = await ask('POST', '/v1/uploads', { filename, contentType, sizeBytes: bytes.byteLength });
      const { upload: slot, object } = place.json as {
        upload: { url: string; headers: Record<string, string> };
        object: string;
      };
      const put = await fetch(slot.url, { method: 'PUT', headers: slot.headers, body: bytes });
      if (put.status !== 201) throw new Error(`the upload was answered with ${put.status}`);
      return object;
    },
    async add(type, payload) {
      const added = await ask('POST', '/v1/jobs', { type, payload });
      if (added.status !== 202) throw new Error(`POST /v1/jobs: ${JSON.stringify(added.json)}`);
      return String(added.json['id']);
    },
    ended: (id, waitMs = 60_000) =>
      vi.waitFor(
        async () => {
          const { json } = await ask('GET', `/v1/jobs/${id}`);
          const job = json as unknown as JobAnswer;
          // The reason of a failure is stored with its state; a read that met the job in between shows only one of them.
          if (job.status !== 'completed' && (job.status !== 'failed' || job.error === null))
            throw new Error(`${id} is ${job.status}\n${output()}`);
          return job;
        },
        { timeout: waitMs, interval: 100 },
      ),
    run: async (type, payload) => self.ended(await self.add(type, payload)),
  };
  return self;
}
