/** `GET /v1/scaling/{queue}`: how many worker processes a queue wants, for KEDA and its like. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { readTunings } from '../backends/tunings.ts';
import { listWorkers } from '../backends/worker-list.ts';
import type { Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { ProducerError } from './errors.ts';
import { defineRoute, noBody, notFound, type Route } from './route.ts';
import { desiredReplicas, type Load } from './scaling.ts';

export interface ScalingRouteParts {
  readonly backend: Backend;
  readonly registry: Registry;
}

const replicas = z.string().regex(/^\d{1,5}$/, 'expected a whole number from 0 to 99999');
const windowS = 300;

export function scalingRoutes({ backend, registry }: ScalingRouteParts): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/v1/scaling/{queue}',
      operationId: 'scaleQueue',
      summary: 'How many worker processes a queue wants, so that no job waits longer than the target age of its type.',
      tag: 'queues',
      scope: 'scaling',
      params: z.object({ queue: z.string().max(64) }),
      query: z.strictObject({
        min: replicas.default('0').describe('Fewer are never wanted; default 0.'),
        max: replicas.default('100').describe('More are never wanted; default 100.'),
      }),
      body: noBody,
      answers: {
        200: {
          description:
            'Of the last five minutes and of now. A paused queue wants what it still runs; a type that limits its attempts in the whole fleet wants no more processes than those need.',
          schema: z.object({
            queue: z.string(),
            backlog: z.int().describe('Jobs that could start now.'),
            active: z.int().describe('Attempts running now.'),
            desired: z.int().describe('Worker processes.'),
          }),
        },
      },
      handle: async ({ params, query }) => {
        const job = registry.find(params.queue);
        if (job === undefined) throw notFound();
        const bounds = { min: Number(query.min), max: Number(query.max) };
        if (bounds.min > bounds.max) {
          const message = `expected at least min, which is ${bounds.min}`;
          throw new ProducerError('INVALID', `query.max: ${message}`, [{ path: 'query.max', message }]);
        }
        const { load, backlog } = await loadOf(backend, job);
        const desired = desiredReplicas(load, bounds);
        return { status: 200, body: { queue: job.name, backlog, active: load.active, desired } };
      },
    }),
  ];
}

async function loadOf(backend: Backend, { name, policy }: Job): Promise<{ load: Load; backlog: number }> {
  const queue = backend.queue(name);
  const [counts, isPaused, workers, tunings] = await Promise.all([
    queue.getJobCounts('waiting', 'prioritized', 'active'),
    queue.isPaused(),
    listWorkers(backend.records),
    readTunings(backend.records, [name]),
  ]);
  const own = workers.flatMap(({ queues }) => queues.filter((one) => one.queue === name));
  const ended = own.reduce((sum, { ended5m }) => sum + ended5m, 0);
  const busyMs = own.reduce((sum, { ended5m, meanMs5m }) => sum + ended5m * (meanMs5m ?? 0), 0);
  const places = own.reduce((sum, { concurrency }) => sum + concurrency, 0);
  const { active = 0, prioritized = 0, waiting = 0 } = counts;
  const backlog = waiting + prioritized;
  const load: Load = {
    backlog: isPaused ? 0 : backlog,
    active,
    endedPerS: isPaused ? 0 : ended / windowS,
    meanS: ended === 0 ? undefined : busyMs / ended / 1_000,
    // As workers run it now; before there is one, as it would.
    concurrency: own.length > 0 ? places / own.length : (tunings.get(name)?.concurrency ?? policy.concurrency),
    most: policy.perQueue.concurrency,
    targetAgeS: policy.targetAgeS,
  };
  return { load, backlog };
}
