/** `/v1/jobs`: list, show, edit, cancel. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { findJobs, foundStates, type JobFilter } from '../backends/find.ts';
import { readReview } from '../backends/reviews.ts';
import { readRun, runKey } from '../backends/run-record.ts';
import type { Registry } from '../jobs/registry.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { tenantRule } from './accept.ts';
import type { Client } from './client.ts';
import { jobChange } from './edit.ts';
import { ProducerError, unknownType } from './errors.ts';
import { describeJob, type JobStatus, readChildren } from './job-status.ts';
import { visibleTenant } from './login.ts';
import { filesOf } from './result-files.ts';
import { defineRoute, noBody, notFound, nothing, pageLimit, type Route } from './route.ts';
import { describeReview, reviewAnswer } from './routes-reviews.ts';
import { seesInFull, shownData } from './shown-data.ts';
import type { SignedLinks } from './signed-links.ts';

export interface JobRouteParts {
  readonly backend: Backend;
  readonly client: Client;
  readonly registry: Registry;
  readonly objects: ObjectStore;
  readonly links: SignedLinks;
}

export const jobId = z.object({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) });
const link = z.object({ self: z.string() });
const summaryAnswer = z.object({
  id: z.string(),
  type: z.string(),
  queue: z.string(),
  status: z.enum(['waiting', 'delayed', 'active', 'waiting-children', 'completed', 'failed', 'cancelled']),
  attempt: z.int().describe('The attempt that runs or ran last; 0 before the first.'),
  maxAttempts: z.int(),
  interruptions: z.int().describe('Runs that ended for no fault of the job.'),
  progress: z.number().describe('0 to 100.'),
  progressNote: z.string().nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  finishedAt: z.string().nullable(),
  parent: z.string().nullable().describe('The job that waits for this one.'),
  children: z.int().describe('How many jobs it waited for.'),
  links: link,
});
const jobAnswer = summaryAnswer.extend({
  result: z.unknown(),
  review: reviewAnswer
    .nullable()
    .describe('Of a result that a person has to look at; GET /v1/reviews/{id} shows what.'),
  childJobs: z
    .array(
      z.object({
        id: z.string(),
        type: z.string(),
        status: z.enum(['completed', 'failed', 'open']),
        result: z.unknown(),
        error: z.object({ code: z.string(), message: z.string() }).nullable(),
      }),
    )
    .describe('The jobs it waits or waited for, with their results.'),
  files: z.array(z.object({ object: z.string(), url: z.string(), contentType: z.string(), sizeBytes: z.number() })),
});

const linksOf = (id: string) => ({ self: `/v1/jobs/${id}` });

export function jobRoutes(parts: JobRouteParts): Route[] {
  return [listRoute(parts), showRoute(parts), editRoute(parts), cancelRoute(parts)];
}

const time = z.iso.datetime({ offset: true });
const listQuery = z.strictObject({
  queue: z.string().max(64).optional().describe('Name or alias of a job type; default: all.'),
  status: z.enum(foundStates).optional(),
  tenant: z
    .string()
    .regex(tenantRule, 'expected a tenant')
    .optional()
    .describe('For keys that see more than their own.'),
  code: z.string().min(1).max(64).optional().describe('Of the last failure: HTTP_503.'),
  text: z
    .string()
    .min(2)
    .max(200)
    .optional()
    .describe(
      'Part of a value in the payload, of the id or of the last failure. On Redis in the newest 10,000 of a state.',
    ),
  from: time.optional().describe('Accepted at or after; RFC 3339.'),
  to: time.optional(),
  limit: pageLimit(),
  cursor: z.string().min(1).max(400).optional().describe('From the page before.'),
});

function listRoute({ backend, registry }: JobRouteParts): Route {
  return defineRoute({
    method: 'GET',
    path: '/v1/jobs',
    operationId: 'listJobs',
    summary: 'List and search jobs, page by page: by queue, then by state, or with a tenant by time, the newest first.',
    tag: 'jobs',
    scope: 'jobs',
    params: nothing,
    query: listQuery,
    body: noBody,
    answers: {
      200: {
        description:
          '`complete` is false when the page ended early because too many jobs had to be looked at (the cursor goes on), or a text was looked for in a part only.',
        schema: z.object({ items: z.array(summaryAnswer), cursor: z.string().nullable(), complete: z.boolean() }),
      },
    },
    handle: async ({ query, credential }) => {
      const queues = queuesOf(registry, query.queue);
      const filter = filterOf(query, visibleTenant(credential));
      const page = await listPage(backend, queues, filter, Number(query.limit), query.cursor);
      return { status: 200, body: { ...page, items: page.items.map(summaryOf) } };
    },
  });
}

/** What is asked for, inside what the caller may see. */
function filterOf(
  { status, tenant, code, text, from, to }: z.output<typeof listQuery>,
  own: string | undefined,
): JobFilter {
  if (own !== undefined && tenant !== undefined && tenant !== own)
    throw new ProducerError('FORBIDDEN', 'This key sees the jobs of its own tenant only.');
  const seen = own ?? tenant;
  return {
    ...(status === undefined ? {} : { states: [status] }),
    ...(seen === undefined ? {} : { tenant: seen }),
    ...(code === undefined ? {} : { code }),
    ...(text === undefined ? {} : { text }),
    ...(from === undefined ? {} : { from: Date.parse(from) }),
    ...(to === undefined ? {} : { to: Date.parse(to) }),
  };
}

function queuesOf(registry: Registry, named: string | undefined): string[] {
  if (named === undefined) return [...registry.jobs.keys()];
  const job = registry.find(named);
  if (job === undefined) throw unknownType(named, registry);
  return [job.name];
}

/** One queue after the other; the cursor says in which one the next page begins. */
async function listPage(
  backend: Backend,
  queues: readonly string[],
  filter: JobFilter,
  limit: number,
  cursor: string | undefined,
) {
  let [index, inner] = cursor === undefined ? [0, undefined] : readCursor(cursor);
  const items: JobStatus[] = [];
  while (items.length < limit) {
    const queue = queues[index];
    if (queue === undefined) return { items, cursor: null, complete: true };
    const page = await findJobs(backend, queue, filter, {
      limit: limit - items.length,
      ...(inner === undefined ? {} : { cursor: inner }),
    }).catch(refuseCursor);
    const runs = await backend.records.get(page.jobs.map(({ job }) => runKey(queue, job.id ?? '')));
    items.push(
      ...page.jobs.map(({ job, state }, place) => describeJob(job, state, readRun(runs[place]?.value).interrupted)),
    );
    if (page.cursor === undefined) index += 1;
    inner = page.cursor;
    if (!page.complete) return { items, cursor: writeCursor(index, inner), complete: false };
  }
  return { items, cursor: queues[index] === undefined ? null : writeCursor(index, inner), complete: true };
}

const writeCursor = (index: number, inner: string | undefined): string => `${index}.${inner ?? ''}`;

function readCursor(cursor: string): [number, string | undefined] {
  const [, index, inner] = /^(\d{1,3})\.([A-Za-z0-9_-]*)$/.exec(cursor) ?? [];
  if (index === undefined) return refuseCursor(new RangeError('no cursor'));
  return [Number(index), inner === '' ? undefined : inner];
}

function refuseCursor(error: unknown): never {
  if (!(error instanceof RangeError)) throw error;
  const message = 'expected the cursor of the page before';
  throw new ProducerError('INVALID', `query.cursor: ${message}`, [{ path: 'query.cursor', message }]);
}

export function summaryOf({ tenant: _tenant, result: _result, ...job }: JobStatus) {
  return { ...job, links: linksOf(job.id) };
}

function showRoute({ backend, client, objects, links }: JobRouteParts): Route {
  return defineRoute({
    method: 'GET',
    path: '/v1/jobs/{id}',
    operationId: 'getJob',
    summary:
      'One job, with its result and signed links to the files the result names. Of another tenant: the result masked and no files, unless the key has export:unmasked.',
    tag: 'jobs',
    scope: 'jobs',
    params: jobId,
    query: nothing,
    body: noBody,
    answers: { 200: { description: 'The job.', schema: jobAnswer } },
    handle: async ({ params, credential, baseUrl }) => {
      const job = await client.status(params.id, visibleTenant(credential));
      if (job === undefined) throw notFound();
      const [files, childJobs, review] = await Promise.all([
        seesInFull(credential, job.tenant) ? filesOf(job, objects, links, baseUrl) : [],
        readChildren(backend, job, objects),
        job.status === 'completed' ? readReview(backend.records, job.queue, job.id) : undefined,
      ]);
      const shown = review === undefined ? null : describeReview(review);
      const data = (found: unknown): unknown => shownData(credential, job.tenant, found);
      const children = childJobs.map((child) => ({ ...child, result: data(child.result) }));
      const result = data(job.result);
      return { status: 200, body: { ...summaryOf(job), result, review: shown, childJobs: children, files } };
    },
  });
}

function editRoute({ client }: JobRouteParts): Route {
  return defineRoute({
    method: 'PATCH',
    path: '/v1/jobs/{id}',
    operationId: 'editJob',
    summary: 'Change a job that waits: its payload, its delay, its level.',
    tag: 'jobs',
    scope: 'jobs',
    params: jobId,
    query: nothing,
    body: jobChange,
    answers: {
      200: { description: 'The job as it is now.', schema: summaryAnswer },
      409: { description: 'A worker has taken it, or it has ended; nothing was changed.' },
    },
    handle: async ({ params: { id }, body, credential }) => {
      const edited = await client.edit(id, body, visibleTenant(credential));
      if (edited === undefined) throw notFound();
      return { status: 200, body: summaryOf(edited) };
    },
  });
}

function cancelRoute({ client }: JobRouteParts): Route {
  return defineRoute({
    method: 'DELETE',
    path: '/v1/jobs/{id}',
    operationId: 'cancelJob',
    summary: 'Cancel a job.',
    tag: 'jobs',
    scope: 'jobs',
    params: jobId,
    query: nothing,
    body: noBody,
    answers: {
      200: { description: 'It was queued and is cancelled.', schema: z.object({ id: z.string(), status: z.string() }) },
      202: {
        description: 'It is running and is being told.',
        schema: z.object({ id: z.string(), status: z.string() }),
      },
      409: { description: 'It has ended.' },
    },
    handle: async ({ params: { id }, credential }) => {
      const cancelled = await client.cancel(id, visibleTenant(credential));
      if (cancelled === undefined) throw notFound();
      if (cancelled === 'scheduled')
        throw new ProducerError('CONFLICT', 'This is the next tick of a schedule; pause the schedule instead.');
      if (cancelled === 'ended') throw new ProducerError('CONFLICT', 'The job has ended; there is nothing to cancel.');
      const body = { id, status: cancelled, links: linksOf(id) };
      return { status: cancelled === 'cancelled' ? 200 : 202, body };
    },
  });
}
