/** `/v1/dead-letters`: what failed for good, grouped; put back to work, or thrown away. */
import { z } from 'zod';
import type {
  BulkReport,
  DeadLetter,
  DeadLetterDetail,
  DeadLetterFilter,
  DeadLetters,
} from '../backends/dead-letters.ts';
import { outsideId } from '../backends/slot-id.ts';
import type { Registry } from '../jobs/registry.ts';
import { maskText } from '../runtime/mask.ts';
import { tenantRule } from './accept.ts';
import { ProducerError, unknownType } from './errors.ts';
import type { Credential } from './keys.ts';
import { visibleTenant } from './login.ts';
import { type Answer, defineRoute, noBody, notFound, nothing, pageLimit, type Route } from './route.ts';
import { storedIds, typeOf } from './stored-id.ts';

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
  cursor: z
    .string()
    .nullable()
    .describe(
      'Where the next call goes on, when more matched than one call does (1,000, or what fits into 0.7 s). What fails again after the first call is left alone.',
    ),
  complete: z.boolean().describe('False when something that matches was not looked at.'),
});
/** Of a call that goes on behind the one before. */
const goOn = z.string().min(1).max(1_000).optional().describe('From the answer before.');

const failure = z.object({ code: z.string(), message: z.string(), at: z.string() });
const detailAnswer = letter.extend({
  evidence: z.object({
    run: z.int().describe('1 until its first redrive.'),
    failures: z.array(failure).describe('Why earlier runs became dead letters, the oldest first, the newest ten.'),
    interruptions: z.int().describe('Runs that ended for no fault of the job.'),
    causes: z
      .array(z.object({ cause: z.enum(['crash', 'deploy', 'lease']), at: z.string() }))
      .describe('The newest 50 of them, the oldest first.'),
    deaths: z.int().describe('How often its child died since it was accepted or redriven.'),
    suspect: z.boolean().describe('It runs alone, because it was in a worker or child that died.'),
    fence: z.int().describe('Number of its last claim.'),
    effects: z.array(z.object({ key: z.string(), state: z.enum(['begun', 'done']), fence: z.int() })),
    effectApplied: z
      .enum(['no', 'perhaps', 'yes'])
      .describe(
        'Whether something happened outside that a redrive will not do again; `perhaps`: it began, and nobody knows how it ended.',
      ),
  }),
  logs: z.array(z.string()),
  links: z.object({ self: z.string(), job: z.string(), redrive: z.string(), discard: z.string() }),
});

export interface DeadLetterRouteParts {
  readonly deadLetters: DeadLetters;
  readonly registry: Registry;
}

const common = { tag: 'dead letters', scope: 'operator', params: nothing } as const;

export function deadLetterRoutes(parts: DeadLetterRouteParts): Route[] {
  return [listRoute(parts), groupsRoute(parts), showRoute(parts), redriveRoute(parts), discardRoute(parts)];
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
      const items = page.letters.map(shownLetter);
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

function showRoute({ deadLetters, registry }: DeadLetterRouteParts): Route {
  return defineRoute({
    ...common,
    params: z.object({ id: z.string().min(1).max(256) }),
    method: 'GET',
    path: '/v1/dead-letters/{id}',
    operationId: 'getDeadLetter',
    summary: 'One dead letter with what is known of how it came to be one.',
    query: z.strictObject({
      queue: filterFields.queue.describe('Needed for an id that does not begin with its type.'),
    }),
    body: noBody,
    answers: { 200: { description: 'The dead letter.', schema: detailAnswer } },
    handle: async ({ params: { id }, query }) => {
      const job = registry.find(query.queue ?? typeOf(id) ?? '');
      const found = job && (await inspectOne(deadLetters, job.name, id));
      if (found === undefined) throw notFound();
      return { status: 200, body: shownDetail(found) };
    },
  });
}

/** A tick of a schedule may be stored under two ids. */
async function inspectOne(deadLetters: DeadLetters, queue: string, id: string): Promise<DeadLetterDetail | undefined> {
  for (const stored of storedIds(id)) {
    const found = await deadLetters.inspect(queue, stored);
    if (found !== undefined) return found;
  }
  return undefined;
}

const shownTime = (ms: number): string => new Date(ms).toISOString();

function shownLetter(one: DeadLetter) {
  return {
    ...one,
    id: outsideId(one.queue, one.id),
    message: maskText(one.message),
    createdAt: shownTime(one.createdAt),
    failedAt: shownTime(one.failedAt),
  };
}

function shownDetail({ letter: one, logs, evidence }: DeadLetterDetail) {
  const shown = shownLetter(one);
  const failures = evidence.failures.map((past) => ({
    ...past,
    message: maskText(past.message),
    at: shownTime(past.at),
  }));
  return {
    ...shown,
    evidence: { ...evidence, failures, causes: evidence.causes.map(({ cause, at }) => ({ cause, at: shownTime(at) })) },
    logs: logs.map((line) => maskText(line)),
    links: {
      self: `/v1/dead-letters/${encodeURIComponent(shown.id)}`,
      job: `/v1/jobs/${encodeURIComponent(shown.id)}`,
      redrive: '/v1/dead-letters/redrive',
      discard: '/v1/dead-letters/discard',
    },
  };
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
      cursor: goOn,
    }),
    answers: { 200: { description: 'What was done, or would be.', schema: report } },
    handle: async ({ body, credential }) => {
      const { filter: given, ...options } = body;
      return reported(deadLetters.redriveMany(selection(registry, given, credential), options));
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
    body: z.strictObject({ filter, dryRun: z.boolean().default(false), cursor: goOn }),
    answers: { 200: { description: 'What was done, or would be.', schema: report } },
    handle: async ({ body: { filter: given, ...options }, credential }) =>
      reported(deadLetters.discardMany(selection(registry, given, credential), options)),
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

async function reported(work: Promise<BulkReport>): Promise<Answer> {
  const { matched, done, refused, cursor = null, complete } = await work.catch(refuseCursor);
  const shown = refused.map(({ id, queue, reason, message }) => ({
    id: outsideId(queue, id),
    queue,
    reason,
    message: maskText(message),
  }));
  return { status: 200, body: { matched, done, refused: shown, cursor, complete } };
}

function refuseCursor(error: unknown): never {
  if (!(error instanceof RangeError)) throw error;
  const message = 'expected the cursor of the answer before';
  throw new ProducerError('INVALID', `cursor: ${message}`, [{ path: 'cursor', message }]);
}
