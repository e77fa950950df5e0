/** Which job types, or parts of them, no worker of the fleet can run, and why: what is added for them would only wait. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import type { Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { ProducerError } from './errors.ts';
import { readJson } from './job-status.ts';

const missingNote = z.object({ reason: z.string() });
const freshMs = 5_000;

/** Why no worker can run a type or a part of it (`<type>/<part>`), by name; workers renew these records every 20 s. What nobody speaks of is not in it. */
export async function unavailableTypes(
  backend: Pick<Backend, 'records'>,
  types: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = await backend.records.get(types.flatMap((type) => [`type-ok:${type}`, `type-missing:${type}`]));
  const reasons = new Map<string, string>();
  for (const [index, type] of types.entries()) {
    const missing = found[index * 2 + 1];
    if (found[index * 2] !== undefined || missing === undefined) continue;
    const note = missingNote.safeParse(readJson(missing.value));
    reasons.set(type, note.success ? note.data.reason : 'no worker can run it');
  }
  return reasons;
}

/**
 * Throws `TYPE_UNAVAILABLE` for a body that adds a job of such a type, or one whose payload needs such a part of its type.
 * Looks at the records at most every 5 s.
 */
export function refuseUnavailable(
  backend: Pick<Backend, 'records'>,
  registry: Registry,
  now: () => number = Date.now,
): (body: unknown) => Promise<void> {
  const names = [...registry.jobs.values()].flatMap(({ name, parts }) => [
    name,
    ...(parts?.names ?? []).map((part) => `${name}/${part}`),
  ]);
  let known: Promise<ReadonlyMap<string, string>> | undefined;
  let lookedAt = 0;
  const look = (): Promise<ReadonlyMap<string, string>> => {
    if (known !== undefined && now() - lookedAt < freshMs) return known;
    lookedAt = now();
    known = unavailableTypes(backend, names);
    // The store's own trouble is told by the add itself.
    return (known = known.catch(() => new Map()));
  };
  return async (body) => {
    const reasons = await look();
    if (reasons.size === 0) return;
    for (const { type, payload } of addedBy(body)) {
      const job = registry.find(type);
      const name = job?.name ?? type;
      const reason = reasons.get(name) ?? reasons.get(`${name}/${partOf(job, payload)}`);
      if (reason !== undefined) throw new ProducerError('TYPE_UNAVAILABLE', `No worker can run ${name}: ${reason}`);
    }
  };
}

/** Undefined for a type without parts, and for a payload that is refused anyway. */
function partOf(job: Job | undefined, payload: unknown): string | undefined {
  const parsed = job?.parts === undefined ? undefined : job.payload.safeParse(payload);
  return parsed?.success === true ? job?.parts?.of(parsed.data) : undefined;
}

interface Added {
  readonly type: string;
  readonly payload: unknown;
}

/** The jobs a body adds: one, a batch, a flow. What is inside a payload is the caller's own. */
function addedBy(body: unknown): Added[] {
  if (Array.isArray(body)) return body.flatMap(addedBy);
  if (typeof body !== 'object' || body === null) return [];
  const { type, payload, items, children }: Partial<Readonly<Record<string, unknown>>> = Object(body);
  const own = typeof type === 'string' ? [{ type, payload }] : [];
  return [...own, ...addedBy(items), ...addedBy(children)];
}
