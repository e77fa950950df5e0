/** `/v1/reviews`, `/v1/jobs/{id}/review`: what a person has to look at, and what that person says. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { mergePatch } from '../backends/merge-patch.ts';
import { decideReview, listOpenReviews, type Review, readReview, readReviewData } from '../backends/reviews.ts';
import type { Registry } from '../jobs/registry.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { tenantRule } from './accept.ts';
import { ProducerError, parseOrRefuse, unknownType } from './errors.ts';
import type { Credential } from './keys.ts';
import { visibleTenant } from './login.ts';
import { filesOf } from './result-files.ts';
import { defineRoute, noBody, notFound, nothing, pageLimit, type Route } from './route.ts';
import { seesInFull, shownData } from './shown-data.ts';
import type { SignedLinks } from './signed-links.ts';
import { typeOf } from './stored-id.ts';

export interface ReviewRouteParts {
  readonly backend: Backend;
  readonly registry: Registry;
  readonly objects: ObjectStore;
  readonly links: SignedLinks;
}

const jobId = z.object({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) });
const record = z.record(z.string(), z.unknown());

export const reviewAnswer = z.object({
  state: z.enum(['open', 'approved', 'edited']),
  openedAt: z.string(),
  confidence: z.number(),
  issues: z.array(z.string()),
  by: z.string().nullable().describe('Who decided.'),
  keyId: z.string().nullable().describe('The id of the API key the decision came with.'),
  decidedAt: z.string().nullable(),
});
const listed = reviewAnswer.extend({
  id: z.string(),
  queue: z.string(),
  links: z.object({ job: z.string(), self: z.string() }),
});
const shownReview = listed.extend({
  data: record.nullable().describe('What was found; null where the object store has lost it.'),
  corrected: record.nullable().describe('After an edit: the data that counts.'),
  files: z.array(z.object({ object: z.string(), url: z.string(), contentType: z.string(), sizeBytes: z.number() })),
});

/** As jobs show it. */
export function describeReview(review: Review): z.output<typeof reviewAnswer> {
  const { state, openedAt, confidence, issues, by, keyId, decidedAt } = review;
  return {
    state,
    openedAt: new Date(openedAt).toISOString(),
    confidence,
    issues,
    by: by ?? null,
    keyId: keyId ?? null,
    decidedAt: decidedAt === undefined ? null : new Date(decidedAt).toISOString(),
  };
}

const listedOf = (review: Review): z.output<typeof listed> => ({
  id: review.id,
  queue: review.queue,
  ...describeReview(review),
  links: { job: `/v1/jobs/${review.id}`, self: `/v1/reviews/${review.id}` },
});

/** The review of a job that the caller may see. */
async function visibleReview(parts: ReviewRouteParts, id: string, credential: Credential): Promise<Review> {
  const queue = typeOf(id);
  const review = queue === undefined ? undefined : await readReview(parts.backend.records, queue, id);
  const own = visibleTenant(credential);
  if (review === undefined || (own !== undefined && review.tenant !== own)) throw notFound();
  return review;
}

export function reviewRoutes(parts: ReviewRouteParts): Route[] {
  return [listRoute(parts), showRoute(parts), decideRoute(parts)];
}

const listQuery = z.strictObject({
  queue: z.string().max(64).optional().describe('Name or alias of a job type; default: all.'),
  tenant: z
    .string()
    .regex(tenantRule, 'expected a tenant')
    .optional()
    .describe('For keys that see more than their own.'),
  limit: pageLimit(),
  cursor: z.string().min(1).max(400).optional().describe('From the page before.'),
});

function listRoute(parts: ReviewRouteParts): Route {
  return defineRoute({
    method: 'GET',
    path: '/v1/reviews',
    operationId: 'listReviews',
    summary: 'Open reviews, the oldest first.',
    tag: 'reviews',
    scope: 'jobs',
    params: nothing,
    query: listQuery,
    body: noBody,
    answers: {
      200: { description: 'One page.', schema: z.object({ items: z.array(listed), cursor: z.string().nullable() }) },
    },
    handle: async ({ query, credential }) => {
      const own = visibleTenant(credential);
      if (own !== undefined && query.tenant !== undefined && query.tenant !== own)
        throw new ProducerError('FORBIDDEN', 'This key sees the reviews of its own tenant only.');
      const job = query.queue === undefined ? undefined : parts.registry.find(query.queue);
      if (query.queue !== undefined && job === undefined) throw unknownType(query.queue, parts.registry);
      const { items, cursor } = await listOpenReviews(
        { records: parts.backend.records, now: () => parts.backend.now() },
        { queue: job?.name, tenant: own ?? query.tenant },
        { limit: Number(query.limit), cursor: query.cursor },
      );
      return { status: 200, body: { items: items.map(listedOf), cursor: cursor ?? null } };
    },
  });
}

function showRoute(parts: ReviewRouteParts): Route {
  return defineRoute({
    method: 'GET',
    path: '/v1/reviews/{id}',
    operationId: 'getReview',
    summary:
      'One review by the id of its job: what was found, why it is doubtful, and signed links to the pictures. Of another tenant: masked and without them, unless the key has export:unmasked.',
    tag: 'reviews',
    scope: 'jobs',
    params: jobId,
    query: nothing,
    body: noBody,
    answers: { 200: { description: 'The review, for 45 days.', schema: shownReview } },
    handle: async ({ params, credential, baseUrl }) => {
      const review = await visibleReview(parts, params.id, credential);
      const data = await readReviewData(parts.objects, review);
      const [found, corrected] = [data.found, data.corrected].map((one) =>
        one === undefined ? null : record.parse(shownData(credential, review.tenant, one)),
      );
      const named = { result: review.pages, tenant: review.tenant };
      const files = seesInFull(credential, review.tenant)
        ? await filesOf(named, parts.objects, parts.links, baseUrl)
        : [];
      const body = { ...listedOf(review), data: found ?? null, corrected: corrected ?? null, files };
      return { status: 200, body };
    },
  });
}

const decision = z.strictObject({
  decision: z.enum(['approve', 'edit']).describe('approve: it is right as it is.'),
  data: record
    .optional()
    .describe('With edit: what is wrong, as a JSON Merge Patch of the data (RFC 7396); null removes a field.'),
  by: z.string().min(1).max(100).optional().describe('Who decides; default: the id of the key.'),
});

function decideRoute(parts: ReviewRouteParts): Route {
  return defineRoute({
    method: 'POST',
    path: '/v1/jobs/{id}/review',
    operationId: 'decideReview',
    summary: 'Approve what was found, or correct it. Decided once.',
    tag: 'reviews',
    scope: 'jobs',
    params: jobId,
    query: nothing,
    body: decision,
    answers: {
      200: { description: 'The review as it is now.', schema: listed },
      409: { description: 'Somebody has decided it already; nothing was changed.' },
    },
    handle: async ({ params, body, credential, request }) => {
      const review = await visibleReview(parts, params.id, credential);
      if (review.state !== 'open') throw tooLate(review);
      const corrected = await correctionOf(parts, review, body);
      const by = body.by ?? credential.keyId;
      const now = () => parts.backend.now();
      const { records } = parts.backend;
      const decided = await decideReview({ records, objects: parts.objects, now }, review, {
        by,
        keyId: credential.keyId,
        corrected,
      });
      if (decided === undefined) throw notFound();
      if (decided.state === 'too late') throw tooLate(decided.review);
      const { id, queue, tenant, state } = decided.review;
      request.log.info({ jobId: id, queue, tenant, state, by, keyId: credential.keyId }, 'a review was decided');
      return { status: 200, body: listedOf(decided.review) };
    },
  });
}

function tooLate({ state, by, decidedAt }: Review): ProducerError {
  const when = decidedAt === undefined ? '' : ` at ${new Date(decidedAt).toISOString()}`;
  return new ProducerError('CONFLICT', `This review was ${state}${when} by ${by ?? 'somebody'}; a decision stands.`);
}

/** The whole data after the edit, as the job type understands it. Undefined for an approval. */
async function correctionOf(
  parts: ReviewRouteParts,
  review: Review,
  { decision: said, data }: z.output<typeof decision>,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const refuse = (message: string): ProducerError =>
    new ProducerError('INVALID', `data: ${message}`, [{ path: 'data', message }]);
  if (said === 'approve') {
    if (data !== undefined) throw refuse('an approval changes nothing; send decision "edit" to correct');
    return undefined;
  }
  if (data === undefined || Object.keys(data).length === 0) throw refuse('expected the fields to correct');
  const schema = parts.registry.find(review.queue)?.review?.data;
  const { found } = await readReviewData(parts.objects, review);
  const merged = mergePatch(found ?? {}, data);
  return schema === undefined ? record.parse(merged) : record.parse(parseOrRefuse(schema.strict(), merged, 'data'));
}
