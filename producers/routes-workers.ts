/** `/v1/workers`: which processes run jobs, how fast, and how many at once. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { mostConcurrency, tune } from '../backends/tunings.ts';
import { listWorkers, type WorkerFacts } from '../backends/worker-list.ts';
import type { Registry } from '../jobs/registry.ts';
import { unknownType } from './errors.ts';
import { defineRoute, noBody, nothing, type Route } from './route.ts';

export interface WorkerRouteParts {
  readonly backend: Backend;
  readonly registry: Registry;
}

const latency = {
  p50Ms: z.number().nullable().describe('Half of the attempts of the last minute took at most so long; to 10 %.'),
  p95Ms: z.number().nullable(),
};
const worker = z.object({
  instance: z.string(),
  host: z.string(),
  pid: z.int(),
  version: z.string(),
  startedAt: z.string(),
  seenAt: z
    .string()
    .describe('Said every ten seconds; a worker of which nothing was heard for a minute is not listed.'),
  claiming: z.boolean(),
  reason: z.string().nullable().describe('Why it claims nothing.'),
  clockOffMs: z.number().nullable().describe("The store's clock minus the worker's."),
  memoryMb: z.number(),
  active: z.int(),
  ...latency,
  queues: z.array(
    z.object({
      queue: z.string(),
      concurrency: z.int(),
      active: z.int(),
      ended: z.int().describe('Attempts ended in the last minute.'),
      ...latency,
    }),
  ),
});

const tuning = z.strictObject({
  queue: z.string().max(64),
  concurrency: z
    .int()
    .min(1)
    .max(mostConcurrency)
    .nullable()
    .describe('Attempts at once in each worker process; null: as each worker would by itself.'),
  by: z.string().min(1).max(100).optional().describe('Who wants it; default: the id of the key.'),
});

export function workerRoutes(parts: WorkerRouteParts): Route[] {
  return [listRoute(parts), tuneRoute(parts)];
}

function listRoute({ backend }: WorkerRouteParts): Route {
  return defineRoute({
    method: 'GET',
    path: '/v1/workers',
    operationId: 'listWorkers',
    summary: 'Worker processes: what each runs, how fast, and why it claims nothing.',
    tag: 'queues',
    scope: 'operator',
    params: nothing,
    query: nothing,
    body: noBody,
    answers: { 200: { description: 'All workers.', schema: z.object({ workers: z.array(worker) }) } },
    handle: async () => ({
      status: 200,
      body: { workers: (await listWorkers(backend.records)).map(describeWorker) },
    }),
  });
}

function describeWorker(facts: WorkerFacts & { readonly instance: string }): z.output<typeof worker> {
  const { startedAt, beatAt, notClaiming, queues, ...rest } = facts;
  return {
    ...rest,
    startedAt: new Date(startedAt).toISOString(),
    seenAt: new Date(beatAt).toISOString(),
    claiming: notClaiming === null,
    reason: notClaiming,
    queues: queues.map(({ ended5m: _ended, meanMs5m: _mean, ...shown }) => shown),
  };
}

function tuneRoute({ backend, registry }: WorkerRouteParts): Route {
  return defineRoute({
    method: 'POST',
    path: '/v1/workers/tune',
    operationId: 'tuneWorkers',
    summary: 'Set how many attempts of a queue each worker process runs at once; all follow within five seconds.',
    tag: 'queues',
    scope: 'operator',
    params: nothing,
    query: nothing,
    body: tuning,
    answers: {
      200: {
        description: 'Set, also for workers that start later.',
        schema: z.object({ queue: z.string(), concurrency: z.int().nullable() }),
      },
    },
    handle: async ({ body, credential, request }) => {
      const job = registry.find(body.queue);
      if (job === undefined) throw unknownType(body.queue, registry);
      const { concurrency, by = credential.keyId } = body;
      await tune(backend, job.name, { concurrency, by });
      request.log.warn({ by, queue: job.name, concurrency, action: 'tuneWorkers' }, 'operator action');
      return { status: 200, body: { queue: job.name, concurrency } };
    },
  });
}
