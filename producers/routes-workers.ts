/** `/v1/workers` and `/v1/circuit-breakers`: which processes run jobs, how fast, how many at once, and what they cannot reach. */
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

const circuitWords = ['closed', 'half-open', 'open'] as const;

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
  circuits: z
    .array(z.object({ name: z.string(), state: z.enum(circuitWords) }))
    .describe('Circuit breakers of this process that are not closed, the open ones first; at most 20.'),
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
  return [listRoute(parts), tuneRoute(parts), circuitRoute(parts)];
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
  const { startedAt, beatAt, circuits, notClaiming, queues, ...rest } = facts;
  return {
    ...rest,
    startedAt: new Date(startedAt).toISOString(),
    seenAt: new Date(beatAt).toISOString(),
    claiming: notClaiming === null,
    reason: notClaiming,
    circuits: circuits.map(({ name, state }) => ({ name, state: circuitWords[state] })),
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

const circuits = z.object({
  circuits: z.array(
    z.object({
      name: z.string().describe('The dependency: a name of a handler, or host and port.'),
      state: z.enum(circuitWords).describe('The worst of all workers.'),
      workers: z.array(z.string()).describe('Instances of the workers in which it is not closed.'),
    }),
  ),
});

function circuitRoute({ backend }: WorkerRouteParts): Route {
  return defineRoute({
    method: 'GET',
    path: '/v1/circuit-breakers',
    operationId: 'listCircuitBreakers',
    summary: 'Dependencies that workers do not ask now because they keep failing; jobs that need them are put off.',
    tag: 'queues',
    scope: 'operator',
    params: nothing,
    query: nothing,
    body: noBody,
    answers: { 200: { description: 'Every breaker that is not closed somewhere.', schema: circuits } },
    handle: async () => ({ status: 200, body: { circuits: worstOf(await listWorkers(backend.records)) } }),
  });
}

function worstOf(
  workers: readonly (Pick<WorkerFacts, 'circuits'> & { readonly instance: string })[],
): z.output<typeof circuits>['circuits'] {
  const byName = new Map<string, { state: 0 | 1 | 2; readonly workers: string[] }>();
  for (const { instance, circuits: own } of workers) {
    for (const { name, state } of own) {
      const found = byName.get(name) ?? { state, workers: [] };
      if (state > found.state) found.state = state;
      found.workers.push(instance);
      byName.set(name, found);
    }
  }
  return Array.from(byName, ([name, found]) => ({ name, ...found, state: circuitWords[found.state] })).toSorted(
    (a, b) => a.name.localeCompare(b.name),
  );
}
