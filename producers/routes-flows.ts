/** `POST /v1/flows`: a parent that runs after its children. */
import { z } from 'zod';
import { enqueueOptions } from './accept.ts';
import type { Client } from './client.ts';
import type { FlowNode } from './flow.ts';
import type { KeyRates } from './key-rates.ts';
import { rateHeaders } from './rate-headers.ts';
import { batchBody } from './read-body.ts';
import { defineRoute, nothing, type Route } from './route.ts';
import { idempotencyKey } from './routes-enqueue.ts';

export interface FlowRouteParts {
  readonly client: Pick<Client, 'enqueueFlowNamed'>;
  readonly keyRates: KeyRates;
  readonly requireIdempotencyKey: boolean;
}

const job = { type: z.string().max(64), payload: z.unknown(), options: enqueueOptions.optional() };
const onFailure = z
  .enum(['fail', 'ignore'])
  .optional()
  .describe('When it ends as a dead letter: fail (default) makes its parent one too, ignore lets it run.');

/** Over HTTP four levels below the parent. */
const leaf = z.strictObject({ ...job, onFailure });
const above = <C extends z.ZodType>(child: C) =>
  z.strictObject({ ...job, onFailure, children: z.array(child).max(1_000).optional() });
const flow = z.strictObject({
  ...job,
  children: z
    .array(above(above(above(leaf))))
    .min(1)
    .max(1_000)
    .describe('Jobs that run first; they may have children.'),
});

const accepted = { id: z.string(), type: z.string(), status: z.string(), links: z.object({ self: z.string() }) };
interface Accepted {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly children: readonly Accepted[];
}

export function flowRoutes({ client, keyRates, requireIdempotencyKey }: FlowRouteParts): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/v1/flows',
      operationId: 'enqueueFlow',
      summary: 'Accept a job that runs after its children, and them: up to 1,000 jobs, all of them or none.',
      tag: 'jobs',
      scope: 'jobs',
      bodyLimits: batchBody,
      params: nothing,
      query: nothing,
      body: flow,
      requestHeaders: { 'idempotency-key': 'Up to 255 characters; the same key names the same flow for 24 hours.' },
      answers: {
        202: {
          description: 'Stored; children in the order they came.',
          schema: z.object({
            ...accepted,
            duplicate: z.boolean(),
            children: z.array(z.object({ ...accepted, children: z.array(z.unknown()) })),
          }),
          headers: { location: 'Address of the parent.' },
        },
        429: { description: 'A rate is used up; nothing was stored. Try again after `Retry-After` seconds.' },
        501: { description: 'This store keeps no flows.' },
        503: { description: 'The store does not answer, or with code LIMITED is too full.' },
      },
      handle: async ({ body, credential, request }) => {
        const key = idempotencyKey(request, requireIdempotencyKey, 255);
        const rate = await keyRates.take('add', credential);
        const enqueued = await client.enqueueFlowNamed(nodeOf(body), {
          ...(key === undefined ? {} : { idempotencyKey: key }),
          tenant: credential.tenant,
          route: 'POST /v1/flows',
        });
        const headers = { location: `/v1/jobs/${enqueued.id}`, ...rateHeaders(rate) };
        return { status: 202, headers, body: { ...described(enqueued), duplicate: enqueued.duplicate } };
      },
    }),
  ];
}

const described = ({ id, type, status, children }: Accepted): object => ({
  id,
  type,
  status,
  children: children.map(described),
  links: { self: `/v1/jobs/${id}` },
});

interface Given {
  readonly type: string;
  readonly payload: unknown;
  readonly options?: z.output<typeof enqueueOptions> | undefined;
  readonly onFailure?: 'fail' | 'ignore' | undefined;
  readonly children?: readonly Given[] | undefined;
}

/** What is not there must not be there as `undefined` either. */
function nodeOf({ type, payload, options = {}, onFailure: then, children }: Given): FlowNode {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return { type, payload, options: given, onFailure: then, children: children?.map(nodeOf) };
}
