/** `/v1/queues` and `/v1/types`: what work exists, how much of it waits, and what this fleet can run. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { createPauses } from '../backends/pauses.ts';
import { readTunings } from '../backends/tunings.ts';
import type { Registry } from '../jobs/registry.ts';
import { jsonSchema } from './json-schema.ts';
import { defineRoute, noBody, nothing, type Route } from './route.ts';
import { describePause, pausedAnswer, pauseRoutes } from './routes-pauses.ts';
import { unavailableTypes } from './type-availability.ts';

export interface QueueRouteParts {
  readonly backend: Backend;
  readonly registry: Registry;
}

const states = ['waiting', 'prioritized', 'delayed', 'active', 'waiting-children', 'completed', 'failed'] as const;
const typesAnswer = z.object({
  types: z.array(
    z.object({
      name: z.string(),
      aliases: z.array(z.string()),
      summary: z.string(),
      payload: z.record(z.string(), z.unknown()),
      available: z.boolean(),
      reason: z.string().optional(),
    }),
  ),
});

/** Jobs by state, prioritized ones among the waiting. */
async function queueCounts(backend: Backend, queue: string): Promise<Record<string, number>> {
  const { prioritized = 0, waiting = 0, ...rest } = await backend.queue(queue).getJobCounts(...states);
  return { waiting: waiting + prioritized, ...rest };
}

export function queueRoutes(parts: QueueRouteParts): Route[] {
  return [queuesRoute(parts), ...pauseRoutes(parts), typesRoute(parts)];
}

function queuesRoute({ backend, registry }: QueueRouteParts): Route {
  return defineRoute({
    method: 'GET',
    path: '/v1/queues',
    operationId: 'listQueues',
    summary: 'Jobs by queue and state; what is paused, by whom and until when.',
    tag: 'queues',
    scope: 'operator',
    params: nothing,
    query: nothing,
    body: noBody,
    answers: {
      200: {
        description: 'All queues.',
        schema: z.object({
          queues: z.array(
            z.object({
              queue: z.string(),
              counts: z.record(z.string(), z.int()),
              paused: pausedAnswer.nullable(),
              concurrency: z
                .int()
                .nullable()
                .describe(
                  'Attempts at once in each worker, as an operator set it; null: as each worker would by itself.',
                ),
            }),
          ),
          pausedTenants: z.array(pausedAnswer.extend({ tenant: z.string() })),
        }),
      },
    },
    handle: async () => {
      const names = [...registry.jobs.keys()];
      const pauses = createPauses(backend);
      const [paused, tenants, tunings, ...counts] = await Promise.all([
        pauses.queues(names),
        pauses.tenants(),
        readTunings(backend.records, names),
        ...names.map((name) => queueCounts(backend, name)),
      ]);
      const queues = names.map((queue, index) => {
        const pause = paused.get(queue);
        return {
          queue,
          counts: counts[index],
          paused: pause === undefined ? null : describePause(pause),
          concurrency: tunings.get(queue)?.concurrency ?? null,
        };
      });
      const pausedTenants = Array.from(tenants, ([tenant, pause]) => ({ tenant, ...describePause(pause) }));
      return { status: 200, body: { queues, pausedTenants } };
    },
  });
}

function typesRoute({ backend, registry }: QueueRouteParts): Route {
  return defineRoute({
    method: 'GET',
    path: '/v1/types',
    operationId: 'listTypes',
    summary: 'The job types, the JSON schema of their payloads, and whether the fleet can run them.',
    tag: 'queues',
    scope: 'jobs',
    params: nothing,
    query: nothing,
    body: noBody,
    answers: {
      200: {
        description: 'All job types.',
        schema: typesAnswer,
      },
    },
    handle: async () => {
      const missing = await unavailableTypes(backend, [...registry.jobs.keys()]);
      const types = [...registry.jobs.values()].map(({ name, aliases, summary, payload }) => {
        const reason = missing.get(name);
        return {
          name,
          aliases,
          summary,
          payload: jsonSchema(payload),
          available: reason === undefined,
          ...(reason === undefined ? {} : { reason }),
        };
      });
      return { status: 200, body: { types } };
    },
  });
}
