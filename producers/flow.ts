/**
 * A parent that runs after its children: every job of the flow passes every check and limit before the first is stored,
 * and all of them are stored at once. Ids of children follow from that of the parent, so that a repeat adds none twice.
 */
import { createHash } from 'node:crypto';
import type { NewFlow } from '../backends/backend.ts';
import type { Enqueued, EnqueueOptions, Input, Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import {
  type AcceptParts,
  answer,
  counted,
  none,
  type Prepared,
  type PrepareParts,
  prepare,
  weightOf,
  withId,
} from './accept.ts';
import { fingerprint } from './canonical.ts';
import { LimitedError, ProducerError, unknownType } from './errors.ts';
import { type ClaimedKey, claimKey } from './idempotency.ts';
import { newJob } from './new-job.ts';
import { isLarge, offload } from './offload.ts';

/** A child whose payload nobody has checked yet; `flowChild` makes typed ones. */
export interface FlowNode {
  /** Name or alias. */
  readonly type: string;
  readonly payload: unknown;
  readonly options?: Omit<EnqueueOptions, 'idempotencyKey' | 'tenant'> | undefined;
  /** When it ends as a dead letter: `fail` (default) makes its parent one too (`CHILD_FAILED`), `ignore` lets it run. */
  readonly onFailure?: 'fail' | 'ignore' | undefined;
  readonly children?: readonly FlowNode[] | undefined;
}

/** A child of `enqueueFlow`; a wrong payload fails to compile. */
export function flowChild<J extends Job>(
  job: J,
  payload: Input<J>,
  more: Pick<FlowNode, 'children' | 'onFailure' | 'options'> = {},
): FlowNode {
  return { type: job.name, payload, ...more };
}

export interface EnqueuedFlow extends Enqueued {
  readonly children: readonly EnqueuedFlow[];
}

export interface FlowParts extends AcceptParts {
  readonly registry: Pick<Registry, 'find' | 'jobs'>;
  readonly newId: (type: string) => string;
}

const mostJobs = 1_000;
const deepest = 8;

/** A node that passed every check. */
interface Checked {
  readonly prepared: Prepared;
  /** Places from the parent down: `0.2`; empty for the parent. */
  readonly place: string;
  readonly onFailure: 'fail' | 'ignore';
  readonly children: readonly Checked[];
}

/**
 * Throws `UNSUPPORTED` on a store without flows, `INVALID`, `TOO_LARGE`, `LIMITED` and the other codes of an add; errors
 * name `children.<place>.payload.…`. Then nothing was stored.
 */
export async function enqueueFlow(
  root: FlowNode,
  options: EnqueueOptions,
  route: string | undefined,
  prepareParts: PrepareParts,
  parts: FlowParts,
): Promise<EnqueuedFlow> {
  if (!parts.backend.capabilities.flows)
    throw new ProducerError(
      'UNSUPPORTED',
      'This store keeps no flows (a Redis Cluster cannot): use PostgreSQL or a Redis without Cluster.',
    );
  const rules = { ...parts, prepareParts, common: { tenant: options.tenant, key: options.idempotencyKey } };
  const checked = check(root, { ...root.options, ...options }, '', rules, { left: mostJobs });
  const all = allOf(checked).map(({ prepared }) => prepared);
  const refused = await parts.gate.refusal(all);
  if (refused !== undefined) throw refused;
  const claimed = await claim(checked, route, parts);
  if (claimed?.isStored === true) return told(checked, claimed.id, true, parts);
  await count(all, claimed, parts);
  const rootId = claimed?.id ?? checked.prepared.id;
  await parts.backend.addFlow(await flowOf(checked, rootId, parts));
  await claimed?.confirm(rootId);
  return told(checked, rootId, claimed?.isNew === false, parts);
}

interface CheckParts extends FlowParts {
  readonly prepareParts: PrepareParts;
  readonly common: { readonly tenant: string | undefined; readonly key: string | undefined };
}

function check(
  node: FlowNode,
  given: EnqueueOptions,
  place: string,
  parts: CheckParts,
  room: { left: number },
): Checked {
  const where =
    place === ''
      ? ''
      : `${place
          .split('.')
          .map((at) => `children.${at}`)
          .join('.')}.`;
  room.left -= 1;
  if (room.left < 0) throw refusal('children', `expected at most ${mostJobs} jobs in a flow`);
  if (place.split('.').length > deepest) throw refusal(`${where}children`, `expected at most ${deepest} levels`);
  const job = parts.registry.find(node.type);
  if (job === undefined) throw unknownType(node.type, parts.registry, where);
  if (job.uniqueKey !== undefined)
    throw refusal(
      `${where}type`,
      `${job.name} has a unique key: its jobs belong to no flow, because one may be another's`,
    );
  const { tenant, key } = parts.common;
  const options = {
    ...given,
    ...(tenant === undefined ? {} : { tenant }),
    ...(key === undefined ? {} : { idempotencyKey: key }),
  };
  const isBare = Object.keys(options).length === 0;
  const prepared = prepare(
    job,
    parts.newId(job.name),
    node.payload,
    isBare ? none : options,
    parts.prepareParts,
    where,
  );
  const children = (node.children ?? []).map((child, at) =>
    check(child, { ...child.options }, place === '' ? String(at) : `${place}.${at}`, parts, room),
  );
  return { prepared, place, onFailure: node.onFailure ?? 'fail', children };
}

function refusal(path: string, message: string): ProducerError {
  return new ProducerError('INVALID', `${path}: ${message}`, [{ path, message }]);
}

function allOf(node: Checked): readonly Checked[] {
  return [node, ...node.children.flatMap(allOf)];
}

/** The key names the whole flow: every job of it, and how each stands to its parent. */
async function claim(
  root: Checked,
  route: string | undefined,
  { backend }: FlowParts,
): Promise<ClaimedKey | undefined> {
  const { prepared } = root;
  if (prepared.options.idempotencyKey === undefined) return undefined;
  const said = allOf(root).map(({ place, onFailure, prepared: one }) => [place, onFailure, one.fingerprint]);
  const { id, options, tenant } = prepared;
  return claimKey(backend.records, { id, options, tenant, fingerprint: fingerprint(said) }, route ?? prepared.job.name);
}

async function count(all: readonly Prepared[], claimed: ClaimedKey | undefined, parts: FlowParts): Promise<void> {
  const counting = parts.gate.count(all);
  if (counting === undefined) return;
  try {
    const rate = await counting;
    parts.onRate?.(rate);
  } catch (error) {
    if (error instanceof LimitedError && claimed?.isNew === true) await claimed.forget();
    throw error;
  }
}

async function flowOf(
  { prepared, place, onFailure, children }: Checked,
  rootId: string,
  parts: FlowParts,
): Promise<NewFlow> {
  const own = withId(prepared, idOf(prepared, place, rootId));
  const weight = weightOf(own, parts);
  const fresh = newJob(own, typeof weight === 'number' ? weight : await weight, children.length);
  const queue = own.job.name;
  const job = isLarge(fresh) ? await offload(queue, fresh, parts) : fresh;
  const below: NewFlow[] = [];
  for (const child of children) below.push(await flowOf(child, rootId, parts));
  return { queue, job, onFailure, children: below };
}

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Of a child: the time of the parent's id, and sixteen characters that follow from it and the place. */
function idOf({ job }: Prepared, place: string, rootId: string): string {
  if (place === '') return rootId;
  const time = rootId.slice(rootId.lastIndexOf('_') + 1).slice(0, 10);
  const hash = createHash('sha256').update(`${rootId}\n${place}`).digest();
  const tail = Array.from(hash.subarray(0, 16), (byte) => alphabet[byte & 31]).join('');
  return `${job.name}_${time}${tail}`;
}

function told(
  { prepared, place, children }: Checked,
  rootId: string,
  duplicate: boolean,
  parts: FlowParts,
): EnqueuedFlow {
  const id = idOf(prepared, place, rootId);
  const below = children.map((child) => told(child, rootId, duplicate, parts));
  const enqueued = duplicate ? answer(prepared, id, true) : counted(prepared, id, false, parts);
  return { ...enqueued, ...(below.length === 0 ? {} : { status: 'waiting-children' }), children: below };
}
