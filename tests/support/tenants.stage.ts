/** A client and workers over job types made for one test, on any store. */

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { z } from 'zod';
import type { Backend } from '../../backends/backend.ts';
import { openBackend } from '../../backends/open.ts';
import { defineHandler, defineJob, type Handler, type Job, type JobContext } from '../../jobs/define.ts';
import type { Policy } from '../../jobs/policy.ts';
import type { Registry } from '../../jobs/registry.ts';
import { type Client, createClient } from '../../producers/client.ts';
import { parseEnv } from '../../runtime/env.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics, type Metrics } from '../../runtime/metrics.ts';
import { openFolderStore } from '../../runtime/object-store-folder.ts';
import { workersEnv } from '../../workers/env.ts';
import { type Fleet, startWorkers } from '../../workers/main.ts';

const payload = z.strictObject({ n: z.int().default(0), key: z.string().default('-') });
const result = z.object({});
export type TestJob = Job<string, typeof payload, typeof result>;

/** One run of a job, as its handler saw it. */
export interface Run {
  readonly id: string;
  readonly tenant: string;
  readonly key: string;
  readonly attempt: number;
  readonly at: number;
}

export interface TenantStage {
  readonly backend: Backend;
  readonly second: Backend;
  readonly metrics: Metrics;
  /** A fresh job type, or a newer release of the one named. `run` is its handler; what it ran stands in `runs`. */
  type(
    policy: Partial<Policy>,
    more?: {
      readonly name?: string;
      readonly run?: (run: Run, ctx: JobContext) => Promise<unknown>;
      readonly uniqueKey?: boolean;
      readonly limitKey?: boolean;
      readonly runs?: Run[];
    },
  ): TestJob;
  /** Over all job types made so far. */
  client(options?: { readonly backend?: Backend; readonly now?: () => number }): Client;
  /** Workers of one process for these types, stopped after the test. */
  work(types: readonly TestJob[], backend?: Backend, env?: Record<string, string>): Promise<Fleet>;
  /** After each test. */
  cleanUp(): Promise<void>;
  close(): Promise<void>;
}

export async function openTenantStage(url: string): Promise<TenantStage> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-tenants-'));
  const objects = await openFolderStore(join(folder, 'objects'));
  const onError = (): void => undefined;
  const backend = await openBackend(url, { onError });
  const second = await openBackend(backend.leaseConnection.url, { onError });
  const metrics = createMetrics();
  const handlers = new Map<string, Handler>();
  const jobs = new Map<string, Job>();
  const fleets: Fleet[] = [];
  const registry: Registry = {
    jobs,
    find: (name) => jobs.get(name),
    handlerUrl: () => '',
    handler: async (name) => {
      const handler = handlers.get(name);
      if (handler === undefined) throw new Error(`no handler of ${name}`);
      return handler;
    },
  };
  const client: TenantStage['client'] = (options = {}) =>
    createClient({ backend: options.backend ?? backend, registry, metrics, ...(options.now && { now: options.now }) });
  return {
    backend,
    second,
    metrics,
    type(policy, { name, run, runs, uniqueKey = false, limitKey = false } = {}) {
      const job: TestJob = defineJob({
        name: name ?? `tenants-${randomBytes(5).toString('hex')}`,
        summary: 'Runs for a test.',
        payload,
        result,
        policy: { timeoutMs: 60_000, ...policy },
        ...(uniqueKey ? { uniqueKey: ({ key }) => key } : {}),
        ...(limitKey ? { limitKey: ({ key }) => key } : {}),
      });
      jobs.set(job.name, job);
      const handler = defineHandler(job, {
        run: async ({ key }, ctx) => {
          const { id, tenant, attempt } = ctx;
          const one = { id, tenant, key, attempt, at: Date.now() };
          runs?.push(one);
          await run?.(one, ctx);
          return {};
        },
      });
      handlers.set(job.name, handler);
      return job;
    },
    client,
    async work(types, on = backend, env = {}) {
      const fleet = await startWorkers({
        registry,
        backend: on,
        client: client({ backend: on }),
        objects,
        log: createLog({ name: 'worker', level: 'silent' }),
        metrics: createMetrics(),
        env: parseEnv(workersEnv, { WORK_DIR: folder, LEASE_MS: '2000', ...env }),
        handlerEnv: {},
        queues: types.map(({ name }) => name),
      });
      fleets.push(fleet);
      return fleet;
    },
    async cleanUp() {
      await Promise.all(fleets.splice(0).map((fleet) => fleet.stop(2_000)));
      for (const name of jobs.keys()) await backend.queue(name).obliterate({ force: true });
      jobs.clear();
      handlers.clear();
    },
    async close() {
      await second.close();
      await backend.close();
      await objects.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Polls every 20 ms. */
export function until<T>(check: () => T | Promise<T>, timeoutMs = 20_000): Promise<T> {
  return vi.waitFor(check, { timeout: timeoutMs, interval: 20 });
}

/** `share` of the values are at or below it. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
