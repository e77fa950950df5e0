/** Pause and resume of a queue, of all queues, of a tenant: always with who, why and, when wanted, until when. */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { createPauses, type Pause, type PauseWish } from '../backends/pauses.ts';
import type { Registry } from '../jobs/registry.ts';
import { tenantRule } from './accept.ts';
import { ProducerError } from './errors.ts';
import { type Call, defineRoute, noBody, notFound, nothing, type Route } from './route.ts';

export interface PauseRouteParts {
  readonly backend: Backend;
  readonly registry: Registry;
}

export const pausedAnswer = z.object({
  by: z.string(),
  reason: z.string(),
  since: z.string().nullable().describe('RFC 3339; null when it was paused by something that kept no record.'),
  until: z.string().nullable().describe('When it ends by itself; null: when somebody ends it.'),
});

export function describePause({ by, reason, at, until }: Pause): z.output<typeof pausedAnswer> {
  const time = (ms: number) => new Date(ms).toISOString();
  return { by, reason, since: at === 0 ? null : time(at), until: until === undefined ? null : time(until) };
}

const yearMs = 366 * 86_400_000;
const wish = z.strictObject({
  reason: z.string().min(1).max(500).describe('Why, for whoever looks next.'),
  by: z.string().min(1).max(100).optional().describe('Who wants it; default: the id of the key.'),
  forMs: z.int().min(1_000).max(yearMs).optional().describe('It ends by itself after so long.'),
  until: z.iso.datetime({ offset: true }).optional().describe('It ends by itself then; RFC 3339. Not beside forMs.'),
});
const queueName = z.object({ queue: z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/) });
const tenantName = z.object({ tenant: z.string().regex(tenantRule) });
const common = { tag: 'queues', scope: 'operator', method: 'POST', query: nothing } as const;
const bound = 'Jobs that run go on to their end. The latest owner and reason stay.';

export function pauseRoutes(parts: PauseRouteParts): Route[] {
  const nameOf = (queue: string): string => {
    const job = parts.registry.find(queue);
    if (job === undefined) throw notFound();
    return job.name;
  };
  const one = z.object({ queue: z.string(), paused: pausedAnswer.nullable() });
  const all = z.object({ queues: z.array(z.string()), paused: pausedAnswer.nullable() });
  const tenant = z.object({ tenant: z.string(), paused: pausedAnswer.nullable() });
  return [
    ...pair('/v1/queues/{queue}', queueName, one, {
      ids: ['pauseQueue', 'resumeQueue'],
      summaries: [`Start no job of the queue until it is resumed, also after a deploy. ${bound}`, 'Let its jobs run.'],
      act: async ({ queue }, change) => {
        const name = nameOf(queue);
        return { queue: name, paused: await change.queue(name) };
      },
      parts,
    }),
    ...pair('/v1/fleet', nothing, all, {
      ids: ['pauseFleet', 'resumeFleet'],
      summaries: [`Start no job of any queue. ${bound}`, 'Resume every queue, whoever paused it.'],
      act: async (_params, change) => {
        const queues = [...parts.registry.jobs.keys()];
        let paused: z.output<typeof pausedAnswer> | null = null;
        for (const queue of queues) paused = await change.queue(queue);
        return { queues, paused };
      },
      parts,
    }),
    ...pair('/v1/tenants/{tenant}', tenantName, tenant, {
      ids: ['pauseTenant', 'resumeTenant'],
      summaries: [
        `Start no job of the tenant on any queue; they are put off and spend no attempt. ${bound}`,
        'Let its jobs run. Those that were put off come back within about a minute.',
      ],
      act: async ({ tenant: name }, change) => ({ tenant: name, paused: await change.tenant(name) }),
      parts,
    }),
  ];
}

/** Pauses or resumes, as the route says; answers the pause that stands afterwards. */
interface Change {
  queue(name: string): Promise<z.output<typeof pausedAnswer> | null>;
  tenant(name: string): Promise<z.output<typeof pausedAnswer> | null>;
}

interface PairSpec<P> {
  readonly ids: readonly [string, string];
  readonly summaries: readonly [string, string];
  readonly act: (params: P, change: Change) => Promise<object>;
  readonly parts: PauseRouteParts;
}

/** `POST <path>/pause` and `POST <path>/resume`. */
function pair<P extends z.ZodObject>(
  path: string,
  params: P,
  answer: z.ZodType,
  { ids, summaries, act, parts }: PairSpec<z.output<P>>,
): Route[] {
  const pauses = createPauses(parts.backend);
  return [
    defineRoute({
      ...common,
      path: `${path}/pause`,
      operationId: ids[0],
      summary: summaries[0],
      params,
      body: wish,
      answers: { 200: { description: 'Paused.', schema: answer } },
      handle: async (call) => {
        const wanted = await wishOf(call, parts.backend);
        const body = await act(call.params, {
          queue: async (name) => describePause(await pauses.pauseQueue(name, wanted)),
          tenant: async (name) => describePause(await pauses.pauseTenant(name, wanted)),
        });
        logChange(call.request, { ...wanted, ...call.params, action: ids[0] });
        return { status: 200, body };
      },
    }),
    defineRoute({
      ...common,
      path: `${path}/resume`,
      operationId: ids[1],
      summary: summaries[1],
      params,
      body: noBody,
      answers: { 200: { description: 'Not paused.', schema: answer } },
      handle: async (call) => {
        const body = await act(call.params, {
          queue: (name) => pauses.resumeQueue(name).then(() => null),
          tenant: (name) => pauses.resumeTenant(name).then(() => null),
        });
        logChange(call.request, { by: call.credential.keyId, ...call.params, action: ids[1] });
        return { status: 200, body };
      },
    }),
  ];
}

function logChange({ log }: Pick<FastifyRequest, 'log'>, line: object): void {
  log.warn(line, 'operator action');
}

async function wishOf(
  { body, credential }: Pick<Call<unknown, unknown, z.output<typeof wish>>, 'body' | 'credential'>,
  backend: Pick<Backend, 'now'>,
): Promise<PauseWish> {
  const { reason, by = credential.keyId, forMs, until } = body;
  if (until === undefined) return { by, reason, ...(forMs === undefined ? {} : { forMs }) };
  const refuse = (message: string) => new ProducerError('INVALID', `until: ${message}`, [{ path: 'until', message }]);
  if (forMs !== undefined) throw refuse('expected either until or forMs');
  const leftMs = Date.parse(until) - (await backend.now());
  if (leftMs < 1_000 || leftMs > yearMs) throw refuse('expected a time from a second to a year from now');
  return { by, reason, forMs: Math.round(leftMs) };
}
