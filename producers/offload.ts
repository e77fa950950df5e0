/** Adds jobs whose payload is too large to travel with them: the payload goes to the object store first. */
import type { Backend, NewJob, QueueJobs } from '../backends/backend.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { hasPayload, inlineLimitBytes, storePayload } from '../runtime/payload-objects.ts';

export interface OffloadParts {
  readonly backend: Pick<Backend, 'add' | 'addMany'>;
  readonly objects?: ObjectStore | undefined;
}

/** Counts bytes only where the number of characters leaves a doubt. */
export function isLarge({ json }: { readonly json: string }): boolean {
  return json.length * 3 > inlineLimitBytes && Buffer.byteLength(json) > inlineLimitBytes;
}

/** As `backend.add`. Nothing is cleaned up when it fails or meets a twin: the keeper removes payloads without a job. */
export async function addLarge(queue: string, job: NewJob, parts: OffloadParts): Promise<string> {
  const stored = await parts.backend.add(queue, await offload(queue, job, parts));
  if (stored === job.id) await keepAfterAll(queue, job, parts);
  return stored;
}

const atOnce = 4;

/** As `backend.addMany` for jobs of which some may be large. */
export async function addManyLarge(bulk: readonly QueueJobs[], parts: OffloadParts): Promise<string[][]> {
  if (!bulk.some(({ jobs }) => jobs.some(isLarge))) return parts.backend.addMany(bulk);
  const light: QueueJobs[] = [];
  for (const { queue, jobs } of bulk) light.push({ queue, jobs: await offloadAll(queue, jobs, parts) });
  const stored = await parts.backend.addMany(light);
  for (const [place, { queue, jobs }] of bulk.entries())
    for (const [index, job] of jobs.entries())
      if (isLarge(job) && stored[place]?.[index] === job.id) await keepAfterAll(queue, job, parts);
  return stored;
}

async function offloadAll(queue: string, jobs: readonly NewJob[], parts: OffloadParts): Promise<NewJob[]> {
  const light: NewJob[] = [];
  for (let from = 0; from < jobs.length; from += atOnce) {
    const group = jobs.slice(from, from + atOnce);
    light.push(...(await Promise.all(group.map((job) => offload(queue, job, parts)))));
  }
  return light;
}

/** As it travels: with a pointer instead of a large payload. */
export async function offload(queue: string, job: NewJob, { objects }: OffloadParts): Promise<NewJob> {
  if (!isLarge(job)) return job;
  if (objects === undefined) throw new Error('a large payload passed the check of its size without an object store');
  return { ...job, json: JSON.stringify(await storePayload(objects, queue, job.id, job.json)) };
}

/** A repeat may meet an old payload in the moment the keeper removes it for want of a job: now there is one. */
async function keepAfterAll(queue: string, job: NewJob, parts: OffloadParts): Promise<void> {
  if (parts.objects !== undefined && !(await hasPayload(parts.objects, queue, job.id)))
    await offload(queue, job, parts);
}
