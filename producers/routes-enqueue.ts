/** `POST /v1/jobs` and `POST /v1/jobs/batch`: accept one job, or up to a thousand. */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Taken } from '../backends/limiter.ts';
import type { Enqueued, EnqueueOptions } from '../jobs/define.ts';
import { enqueueOptions } from './accept.ts';
import type { Client } from './client.ts';
import { ProducerError } from './errors.ts';
import type { KeyRates } from './key-rates.ts';
import { rateHeaders } from './rate-headers.ts';
import { batchBody } from './read-body.ts';
import { defineRoute, nothing, type Route } from './route.ts';

export interface EnqueueRouteParts {
  readonly client: Pick<Client, 'enqueueBatch' | 'enqueueNamed'>;
  readonly keyRates: KeyRates;
  readonly requireIdempotencyKey: boolean;
}

const acceptedAnswer = z.object({
  id: z.string(),
  type: z.string(),
  queue: z.string(),
  status: z.string(),
  duplicate: z.boolean().describe('True when an idempotency key or a unique key named a job that was there.'),
  createdAt: z.string(),
  links: z.object({ self: z.string() }),
});
const oneJob = z.strictObject({ type: z.string().max(64), payload: z.unknown(), options: enqueueOptions.optional() });
const rateAnswer = {
  'x-ratelimit-limit': 'Of the rate that was counted: its points.',
  'x-ratelimit-remaining': 'Points left.',
  'x-ratelimit-reset': 'Seconds until the next window.',
};
const refusals = {
  429: { description: 'A rate is used up; nothing was stored. Try again after `Retry-After` seconds.' },
  503: {
    description: 'The store does not answer, or with code LIMITED is too full; try again after `Retry-After` seconds.',
  },
};

export function enqueueRoutes(parts: EnqueueRouteParts): Route[] {
  return [oneRoute(parts), batchRoute(parts)];
}

function oneRoute({ client, keyRates, requireIdempotencyKey }: EnqueueRouteParts): Route {
  return defineRoute({
    method: 'POST',
    path: '/v1/jobs',
    operationId: 'enqueueJob',
    summary: 'Accept a job. It is stored when the answer is 202.',
    tag: 'jobs',
    scope: 'jobs',
    params: nothing,
    query: nothing,
    body: oneJob,
    requestHeaders: { 'idempotency-key': 'Up to 255 characters; the same key names the same job for 24 hours.' },
    answers: {
      202: {
        description: 'Stored. `Idempotent-Replayed: true` when the key was used before with the same body.',
        schema: acceptedAnswer,
        headers: { location: 'Address of the job.', 'idempotent-replayed': '`true` for a replay.', ...rateAnswer },
      },
      ...refusals,
    },
    handle: async ({ body, credential, request }) => {
      const key = idempotencyKey(request, requireIdempotencyKey, 255);
      const rates = noteRates(await keyRates.take('add', credential));
      const enqueued = await client.enqueueNamed(body.type, body.payload, {
        ...withoutUndefined(body.options),
        ...(key === undefined ? {} : { idempotencyKey: key }),
        tenant: credential.tenant,
        route: 'POST /v1/jobs',
        onRate: rates.note,
      });
      const isReplay = key !== undefined && enqueued.duplicate;
      return {
        status: 202,
        headers: {
          location: linkOf(enqueued.id),
          ...(isReplay ? { 'idempotent-replayed': 'true' } : {}),
          ...rates.headers(),
        },
        body: acceptedBody(enqueued, isReplay, body.options?.delayMs),
      };
    },
  });
}

function batchRoute({ client, keyRates, requireIdempotencyKey }: EnqueueRouteParts): Route {
  return defineRoute({
    method: 'POST',
    path: '/v1/jobs/batch',
    operationId: 'enqueueBatch',
    summary:
      'Accept up to 1,000 jobs, of any types: all of them, or none when one is invalid or too much (on a Redis Cluster that runs full meanwhile: of each type).',
    tag: 'jobs',
    scope: 'jobs',
    bodyLimits: batchBody,
    params: nothing,
    query: nothing,
    body: z.strictObject({ items: z.array(oneJob).min(1).max(1_000) }),
    requestHeaders: {
      'idempotency-key': 'Up to 240 characters; the same key names the same jobs, place by place, for 24 hours.',
    },
    answers: {
      202: {
        description: 'Stored: one answer per item, in order.',
        schema: z.object({ items: z.array(acceptedAnswer) }),
        headers: rateAnswer,
      },
      ...refusals,
    },
    handle: async ({ body, credential, request }) => {
      const key = idempotencyKey(request, requireIdempotencyKey, 240);
      const rates = noteRates(await keyRates.take('batch', credential));
      const items = body.items.map(({ type, payload, options }, place) => ({
        type,
        payload,
        options: {
          ...withoutUndefined(options),
          ...(key === undefined ? {} : { idempotencyKey: `${key}#${place}` }),
          tenant: credential.tenant,
        },
      }));
      const enqueued = await client.enqueueBatch(items, { route: 'POST /v1/jobs/batch', onRate: rates.note });
      const answers = enqueued.map((one, place) =>
        acceptedBody(one, key !== undefined && one.duplicate, body.items[place]?.options?.delayMs),
      );
      return { status: 202, headers: rates.headers(), body: { items: answers } };
    },
  });
}

const linkOf = (id: string): string => `/v1/jobs/${id}`;

/** A replay says what the first answer said; where the job stands by now, `GET` tells. */
function acceptedBody(enqueued: Enqueued, isReplay: boolean, delayMs = 0): object {
  const { id, type, queue, duplicate, createdAt } = enqueued;
  const status = isReplay ? (delayMs > 0 ? 'delayed' : 'waiting') : enqueued.status;
  return { id, type, queue, status, duplicate, createdAt, links: { self: linkOf(id) } };
}

/** Options that are not there must not be there as `undefined` either. */
function withoutUndefined(options: z.output<typeof enqueueOptions> = {}): EnqueueOptions {
  const { delayMs, attempts, level, startBy } = options;
  return {
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(attempts === undefined ? {} : { attempts }),
    ...(level === undefined ? {} : { level }),
    ...(startBy === undefined ? {} : { startBy }),
  };
}

/** Of the rates a call was counted by, the one with the least left. */
function noteRates(first: Taken | undefined) {
  let least = first;
  return {
    note: (rate: Taken): void => {
      if (least === undefined || rate.remaining < least.remaining) least = rate;
    },
    headers: (): Record<string, string> => rateHeaders(least),
  };
}

export function idempotencyKey(request: FastifyRequest, required: boolean, longest: number): string | undefined {
  const header = request.headers['idempotency-key'];
  if (header === undefined && !required) return undefined;
  if (typeof header === 'string' && header.length <= longest && /^[\x20-\x7e]+$/.test(header)) return header;
  const message = `expected 1 to ${longest} printable ASCII characters`;
  throw new ProducerError('INVALID', `Idempotency-Key: ${message}.`, [{ path: 'headers.idempotency-key', message }]);
}
