/** API, queue, worker, object store and documents in one process over a throw-away store, spoken to over HTTP as users do. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { openBackend } from '../../backends/open.ts';
import { loadRegistry } from '../../jobs/registry.ts';
import { createClient } from '../../producers/client.ts';
import { apiEnv } from '../../producers/env.ts';
import { startApi } from '../../producers/main.ts';
import { mergeCollections, type TenantDocuments } from '../../runtime/documents.ts';
import { parseEnv } from '../../runtime/env.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { openFolderStore } from '../../runtime/object-store-folder.ts';
import { mongoPools, openDocuments } from '../../runtime/open-documents.ts';
import { workersEnv } from '../../workers/env.ts';
import { startWorkers } from '../../workers/main.ts';

export interface JobAnswer {
  readonly id: string;
  readonly status: string;
  readonly result: Record<string, unknown> | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface WholeFleet {
  /** Those of the tenant whose key is used. */
  readonly documents: TenantDocuments;
  get(path: string): Promise<{ readonly status: number; readonly json: Record<string, unknown> }>;
  /** Uploads a file; answers the name payloads use. */
  upload(filename: string, bytes: Uint8Array): Promise<string>;
  /** Adds a job and answers it when it has ended. */
  run(type: string, payload: object): Promise<JobAnswer>;
  /** Resolves when no job of these types waits or runs; how many have completed and failed. */
  settled(types: readonly string[]): Promise<{ readonly completed: number; readonly failed: number }>;
  close(): Promise<void>;
}

export async function openWholeFleet(options: {
  readonly queueUrl: string;
  readonly mongoUrl?: string | undefined;
  readonly queues: readonly string[];
  readonly handlerEnv?: Readonly<Record<string, string>>;
}): Promise<WholeFleet> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-whole-'));
  const failures: Error[] = [];
  const backend = await openBackend(options.queueUrl, { onError: (error) => void failures.push(error) });
  const registry = await loadRegistry();
  const collections = mergeCollections([...registry.jobs.values()].map((job) => job.collections));
  const documents = await openDocuments(collections, {
    mongoUrl: options.mongoUrl,
    sql: backend.sql,
    pool: mongoPools.worker,
  });
  if (documents === undefined) throw new Error('expected a store that keeps documents');
  const objects = await openFolderStore(join(folder, 'objects'));
  const metrics = createMetrics();
  const log = createLog({ name: 'test', level: 'silent' });
  const client = createClient({ backend, registry, metrics });
  const key = 'whole-fleet-'.padEnd(40, 'k');
  const server = await startApi({
    backend,
    registry,
    client,
    secrets: undefined,
    documents,
    objects,
    metrics,
    env: parseEnv(apiEnv, { JOBFLEET_KEY: key, HTTP_RATE_LIMIT: '0' }),
    dataDir: folder,
    version: '0.0.0',
    log,
    host: '127.0.0.1',
    port: 0,
  });
  const fleet = await startWorkers({
    registry,
    backend,
    client,
    objects,
    documents,
    log,
    metrics,
    env: parseEnv(workersEnv, { WORK_DIR: folder }),
    handlerEnv: options.handlerEnv ?? {},
    queues: options.queues,
  });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const ask = async (method: string, path: string, body?: object) => {
    const answer = await fetch(server.url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
  };
  const upload = async (filename: string, bytes: Uint8Array): Promise<string> => {
    const contentType = 'application/octet-stream';
    const place = await ask('POST', '/v1/uploads', { filename, contentType, sizeBytes: bytes.byteLength });
    const { upload: slot, object } = place.json as {
      upload: { url: string; headers: Record<string, string> };
      object: string;
    };
    const put = await fetch(slot.url, { method: 'PUT', headers: slot.headers, body: bytes });
    if (put.status !== 201) throw new Error(`the upload was answered with ${put.status}`);
    return object;
  };
  const [, tenant = ''] = /^object:t\/([^/]+)\//.exec(await upload('tenant.txt', Buffer.from('?'))) ?? [];
  return {
    documents: documents.of(tenant),
    upload,
    get: (path) => ask('GET', path),
    async run(type, payload) {
      const added = await ask('POST', '/v1/jobs', { type, payload });
      if (added.status !== 202) throw new Error(`POST /v1/jobs: ${JSON.stringify(added.json)}`);
      return vi.waitFor(
        async () => {
          const { json } = await ask('GET', `/v1/jobs/${String(added.json['id'])}`);
          const job = json as unknown as JobAnswer;
          if (!['completed', 'failed'].includes(job.status)) throw new Error(`${job.id} is ${job.status}`);
          return job;
        },
        { timeout: 60_000, interval: 100 },
      );
    },
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
      await fleet.stop(10_000);
      await server.close();
      await objects.close();
      await documents.close();
      await backend.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
