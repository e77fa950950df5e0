/** `/v1/dead-letters`: what failed for good, grouped; put back to work, or thrown away. */
import { z } from 'zod';
import type { BulkReport, DeadLetterFilter, DeadLetters } from '../backends/dead-letters.ts';
import { outsideId } from '../backends/slot-id.ts';
import type { Registry } from '../jobs/registry.ts';
import { maskText } from '../runtime/mask.ts';
import { tenantRule } from './accept.ts';
import { ProducerError, unknownType } from './errors.ts';
import type { Credential } from './keys.ts';
import { visibleTenant } from './login.ts';
import { type Answer, defineRoute, noBody, nothing, pageLimit, type Route } from './route.ts';
import { storedIds } from './stored-id.ts';

const time = z.iso.datetime({ offset: true });
const filterFields = {
  queue: z.string().max(64).optional().describe('Name or alias of a job type; default: all.'),
  tenant: z.string().regex(tenantRule, 'expected a tenant').optional(),
  code: z.string().max(64).optional(),
  signature: z.string().max(1_024).optional().describe('Code and message with numbers, ids and quoted parts blanked.'),
  from: time.optional().describe('Failed at or after; RFC 3339.'),
  to: time.optional(),
};
const filter = z.strictObject({ ...filterFields, ids: z.array(z.string().max(64)).max(1_000).optional() });
type Filter = z.output<typeof filter>;

const letter = z.object({
  id: z.string(),
  queue: z.string(),
  tenant: z.string(),
  code: z.string(),
  message: z.string(),
  signature: z.string(),
  attempts: z.int(),
  createdAt: z.string(),
  failedAt: z.string(),
});
const groupsAnswer = z.object({
  groups: z.array(
    z.object({
      queue: z.string(),
      signature: z.string(),
      code: z.string(),
      count: z.int(),
      oldestAt: z.string(),
      newestAt: z.string(),
      sample: z.string().describe('Message of the newest one.'),
      sampleId: z.string(),
    }),
  ),
  complete: z.boolean(),
});
const report = z.object({
  matched: z.int(),
  done: z.int(),
  refused: z.array(z.object({ id: z.string(), queue: z.string(), reason: z.string(), message: z.string() })),
  complete: z
    .boolean()
    .describe('False when more matched than one call does (1,000, or what fits into 0.7 s): call again.'),
});

export interface DeadLetterRouteParts {
  readonly deadLetters: DeadLetters;
  readonly registry: Registry;
}

const common = { tag: 'dead letters', scope: 'operator', params: nothing } as const;

export function deadLetterRoutes(parts: DeadLetterRouteParts): Route[] {
  return [listRoute(parts), groupsRoute(parts), redriveRoute(parts), discardRoute(parts)];
}

function listRoute({ deadLetters, registry }: DeadLetterRouteParts): Route {
  return defineRoute({
    ...common,
    method: 'GET',
    path: '/v1/dead-letters',
    operationId: 'listDeadLetters',
    summary: 'List dead letters, the newest first.',
    query: z.strictObject({
      ...filterFields,
      limit: pageLimit(),
      cursor: z.string().min(1).max(200).optional(),
    }),
    body: noBody,
    answers: {
      200: {
        description: 'A page.',
        schema: z.object({ items: z.array(letter), cursor: z.string().nullable(), complete: z.boolean() }),
      },
    },
    handle: async ({ query: { limit, cursor, ...rest }, credential }) => {
      const place = { limit: Number(limit), ...(cursor === undefined ? {} : { cursor }) };
      const page = await deadLetters.list(selection(registry, rest, credential), place).catch(refuseCursor);
      const items = page.letters.map((one) => ({
        ...one,
        id: outsideId(one.queue, one.id),
        message: maskText(one.message),
        createdAt: new Date(one.createdAt).toISOString(),
        failedAt: new Date(one.failedAt).toISOString(),
      }));
      return { status: 200, body: { items, cursor: page.cursor ?? null, complete: page.complete } };
    },
  });
}

function groupsRoute({ deadLetters, registry }: DeadLetterRouteParts): Route {
  return defineRoute({
    ...common,
    method: 'GET',
    path: '/v1/dead-letters/groups',
    operationId: 'groupDeadLetters',
    summary: 'Dead letters by queue and error signature, the largest group first.',
    query: z.strictObject(filterFields),
    body: noBody,
    answers: {
      200: {
        description: 'The groups.',
        schema: groupsAnswer,
      },
    },
    handle: async ({ query, credential }) => {
      const { groups, complete } = await deadLetters.groups(selection(registry, query, credential));
      const shown = groups.map(({ example, oldestAt, newestAt, ...group }) => ({
        ...group,
        oldestAt: new Date(oldestAt).toISOString(),
        newestAt: new Date(newestAt).toISOString(),
        sample: maskText(example.message),
        sampleId: outsideId(group.queue, example.id),
      }));
      return { status: 200, body: { groups: shown, complete } };
    },
  });
}

function redriveRoute({ deadLetters, registry }: DeadLetterRouteParts): Route {
  return defineRoute({
    ...common,
    method: 'POST',
    path: '/v1/dead-letters/redrive',
    operationId: 'redriveDeadLetters',
    summary: 'Put dead letters back to work: same ids, fresh attempts. `dryRun` only counts.',
    query: nothing,
    body: z.strictObject({
      filter,
      dryRun: z.boolean().default(false),
      patch: z.record(z.string(), z.unknown()).optional().describe('JSON Merge Patch for every payload.'),
    }),
    answers: { 200: { description: 'What was done, or would be.', schema: report } },
    handle: async ({ body, credential }) => {
      const options = { dryRun: body.dryRun, ...(body.patch === undefined ? {} : { patch: body.patch }) };
      return reported(await deadLetters.redriveMany(selection(registry, body.filter, credential), options));
    },
  });
}

function discardRoute({ deadLetters, registry }: DeadLetterRouteParts): Route {
  return defineRoute({
    ...common,
    method: 'POST',
    path: '/v1/dead-letters/discard',
    operationId: 'discardDeadLetters',
    summary: 'Delete dead letters for good. `dryRun` only counts.',
    query: nothing,
    body: z.strictObject({ filter, dryRun: z.boolean().default(false) }),
    answers: { 200: { description: 'What was done, or would be.', schema: report } },
    handle: async ({ body, credential }) =>
      reported(await deadLetters.discardMany(selection(registry, body.filter, credential), { dryRun: body.dryRun })),
  });
}

/** What the caller asked for, inside what the caller may see. */
function selection(registry: Registry, given: Filter, credential: Credential): DeadLetterFilter {
  const { queue, from, to, ...rest } = given;
  const job = queue === undefined ? undefined : registry.find(queue);
  if (queue !== undefined && job === undefined) throw unknownType(queue, registry);
  const { ids, tenant, code, signature } = rest;
  const visible = visibleTenant(credential) ?? tenant;
  return {
    ...(job === undefined ? {} : { queue: job.name }),
    ...(visible === undefined ? {} : { tenant: visible }),
    ...(code === undefined ? {} : { code }),
    ...(signature === undefined ? {} : { signature }),
    ...(ids === undefined ? {} : { ids: ids.flatMap(storedIds) }),
    ...(from === undefined ? {} : { from: Date.parse(from) }),
    ...(to === undefined ? {} : { to: Date.parse(to) }),
  };
}

function reported({ matched, done, refused, complete }: BulkReport): Answer {
  const shown = refused.map(({ id, queue, reason, message }) => ({
    id: outsideId(queue, id),
    queue,
    reason,
    message: maskText(message),
  }));
  return { status: 200, body: { matched, done, refused: shown, complete } };
}

function refuseCursor(error: unknown): never {
  if (!(error instanceof RangeError)) throw error;
  const message = 'expected the cursor of the page before';
  throw new ProducerError('INVALID', `query.cursor: ${message}`, [{ path: 'query.cursor', message }]);
}
