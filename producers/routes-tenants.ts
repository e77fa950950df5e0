/** `/v1/tenants` and `/v1/keys`: what is agreed with a tenant, and the keys that speak for it. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { readTenant, type TenantSettings, tenantTiers, writeTenant } from '../backends/tenants.ts';
import { tenantRule } from './accept.ts';
import { type Keys, scopes } from './keys.ts';
import { defineRoute, noBody, notFound, nothing, type Route } from './route.ts';

export interface TenantRouteParts {
  readonly backend: Backend;
  readonly keys: Keys;
}

const tenant = z.object({ id: z.string().regex(/^[a-z0-9_-]{1,64}$/) });
const agreed = z.strictObject({
  weight: z
    .number()
    .min(1)
    .max(1_000)
    .default(1)
    .describe('Its share of fair queues in relation to others; default 1.'),
  tier: z.enum(tenantTiers).default('standard').describe('premium: ten times the rates per tenant.'),
  limits: z
    .strictObject({
      concurrency: z
        .int()
        .min(1)
        .max(100_000)
        .optional()
        .describe('Attempts at once, instead of policy.perTenant.concurrency of each type that has one.'),
    })
    .default({}),
});
const tenantAnswer = z.object({
  tenant: z.string(),
  weight: z.number(),
  tier: z.enum(tenantTiers),
  limits: z.object({ concurrency: z.int().optional() }),
  changedAt: z.string().nullable().describe('Null: nothing was agreed, these are the defaults.'),
  by: z.string(),
});

export function tenantRoutes(parts: TenantRouteParts): Route[] {
  return [showRoute(parts), writeRoute(parts), createKeyRoute(parts), revokeKeyRoute(parts)];
}

const describe = (id: string, { at, by, weight, tier, limits }: TenantSettings) => ({
  tenant: id,
  weight,
  tier,
  limits,
  changedAt: at === 0 ? null : new Date(at).toISOString(),
  by,
});

function showRoute({ backend }: TenantRouteParts): Route {
  return defineRoute({
    method: 'GET',
    path: '/v1/tenants/{id}',
    operationId: 'getTenant',
    summary: 'What is agreed with a tenant.',
    tag: 'tenants',
    scope: 'operator',
    params: tenant,
    query: nothing,
    body: noBody,
    answers: { 200: { description: 'The tenant, known or not.', schema: tenantAnswer } },
    handle: async ({ params: { id } }) => ({
      status: 200,
      body: describe(id, await readTenant(backend.records, id)),
    }),
  });
}

function writeRoute({ backend }: TenantRouteParts): Route {
  return defineRoute({
    method: 'PUT',
    path: '/v1/tenants/{id}',
    operationId: 'putTenant',
    summary:
      'Agree something with a tenant: the whole of it; what is left out is as usual. All follow within five seconds.',
    tag: 'tenants',
    scope: 'admin',
    params: tenant,
    query: nothing,
    body: agreed,
    answers: { 200: { description: 'The tenant as it is now.', schema: tenantAnswer } },
    handle: async ({ params: { id }, body, credential, request }) => {
      const settings = { ...body, by: credential.keyId };
      const written = await writeTenant(backend.records, id, settings, await backend.now());
      request.log.warn({ ...settings, tenant: id, action: 'putTenant' }, 'operator action');
      return { status: 200, body: describe(id, written) };
    },
  });
}

function createKeyRoute({ backend, keys }: TenantRouteParts): Route {
  return defineRoute({
    method: 'POST',
    path: '/v1/keys',
    operationId: 'createKey',
    summary: 'Make an API key. It stands in this answer and nowhere else.',
    tag: 'tenants',
    scope: 'admin',
    params: nothing,
    query: nothing,
    body: z.strictObject({
      tenant: z.string().regex(tenantRule, 'expected lower-case letters, digits, - and _, at most 64').default('-'),
      scopes: z
        .array(z.enum(scopes))
        .min(1)
        .refine((given) => new Set(given).size === given.length, 'expected each scope once')
        .default(['jobs']),
      tier: z
        .enum(tenantTiers)
        .optional()
        .describe('premium: ten times the rates per key. Default: that of the tenant.'),
      expiresAt: z.iso.datetime({ offset: true }).optional().describe('RFC 3339; default: never.'),
    }),
    answers: {
      201: {
        description: 'The key; keep it.',
        schema: z.object({
          id: z.string(),
          key: z.string(),
          tenant: z.string(),
          scopes: z.array(z.enum(scopes)),
          tier: z.enum(tenantTiers),
          expiresAt: z.string().nullable(),
        }),
      },
    },
    handle: async ({ body, credential, request }) => {
      const { tenant: of, scopes: may, expiresAt } = body;
      const tier = body.tier ?? (await readTenant(backend.records, of)).tier;
      const made = await keys.create({
        tenant: of,
        scopes: may,
        tier,
        ...(expiresAt === undefined ? {} : { expiresAt: Date.parse(expiresAt) }),
      });
      const facts = { tenant: of, scopes: may, tier, expiresAt: expiresAt ?? null };
      request.log.warn({ ...facts, made: made.id, by: credential.keyId, action: 'createKey' }, 'operator action');
      return { status: 201, body: { ...made, ...facts } };
    },
  });
}

function revokeKeyRoute({ keys }: TenantRouteParts): Route {
  return defineRoute({
    method: 'DELETE',
    path: '/v1/keys/{id}',
    operationId: 'revokeKey',
    summary: 'Revoke an API key; every process refuses it within five seconds.',
    tag: 'tenants',
    scope: 'admin',
    params: z.object({ id: z.string().regex(/^[0-9A-Za-z]{12}$/) }),
    query: nothing,
    body: noBody,
    answers: { 204: { description: 'It is no key any more.' } },
    handle: async ({ params: { id }, credential, request }) => {
      if (!(await keys.revoke(id))) throw notFound();
      request.log.warn({ revoked: id, by: credential.keyId, action: 'revokeKey' }, 'operator action');
      return { status: 204 };
    },
  });
}
