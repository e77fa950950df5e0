/** `POST /v1/hooks/{source}`: a signed webhook of somebody else becomes a job, once. */
import { z } from 'zod';
import type { Registry } from '../jobs/registry.ts';
import { ConfigurationError } from '../runtime/env.ts';
import type { Client } from './client.ts';
import { type HookSource, readHook } from './hooks.ts';
import { bodyLimitBytes, readAll } from './read-body.ts';
import { defineRoute, noBody, notFound, nothing, type Route } from './route.ts';

export interface HookRouteParts {
  readonly client: Pick<Client, 'enqueueNamed'>;
  readonly registry: Registry;
  readonly hooks: Readonly<Record<string, HookSource>>;
}

/** Throws one sentence for sources whose job type nobody has. */
export function hookRoutes({ client, registry, hooks }: HookRouteParts): Route[] {
  for (const [name, { type }] of Object.entries(hooks))
    if (registry.find(type) === undefined)
      throw new ConfigurationError(
        `HOOKS: ${name} names the job type ${type}; known are ${[...registry.jobs.keys()].join(', ')}`,
      );
  return [
    defineRoute({
      method: 'POST',
      path: '/v1/hooks/{source}',
      operationId: 'receiveHook',
      summary: 'A signed webhook of a declared source (HOOKS) becomes a job; the same webhook again is the same job.',
      tag: 'jobs',
      scope: 'none',
      rawBody: true,
      params: z.object({ source: z.string().max(64) }),
      query: nothing,
      body: noBody,
      requestHeaders: {
        'webhook-id': 'Standard Webhooks: names the webhook.',
        'webhook-timestamp': 'Seconds since 1970, at most five minutes off.',
        'webhook-signature': 'One or more `v1,…` signatures, separated by spaces.',
      },
      answers: {
        202: {
          description: 'Stored, or known already.',
          schema: z.object({ id: z.string(), duplicate: z.boolean() }),
        },
        401: { description: 'The signature does not fit or is more than five minutes old.' },
        404: { description: 'No such source.' },
        422: { description: 'The id came before with another body.' },
      },
      handle: async ({ params, request }) => {
        const from = Object.hasOwn(hooks, params.source) ? hooks[params.source] : undefined;
        if (from === undefined) throw notFound();
        const announced = Number(request.headers['content-length'] ?? 0);
        const body = Buffer.from(await readAll(request.raw, announced, bodyLimitBytes));
        const { id, payload } = readHook(from, request.headers, body, Date.now());
        const { id: jobId, duplicate } = await client.enqueueNamed(from.type, payload, {
          tenant: from.tenant,
          idempotencyKey: `${params.source}/${id}`,
          route: 'POST /v1/hooks',
        });
        return { status: 202, body: { id: jobId, duplicate } };
      },
    }),
  ];
}
