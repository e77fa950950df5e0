/** Which job types no worker of the fleet can run, and why: what is added for them would only wait. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import type { Registry } from '../jobs/registry.ts';
import { ProducerError } from './errors.ts';
import { readJson } from './job-status.ts';

const missingNote = z.object({ reason: z.string() });
const freshMs = 5_000;

/** Why no worker can run a type, by type; workers renew these records every 20 s. Types nobody speaks of are not in it. */
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

/** Throws `TYPE_UNAVAILABLE` for a body that adds a job of such a type. Looks at the records at most every 5 s. */
export function refuseUnavailable(
  backend: Pick<Backend, 'records'>,
  registry: Registry,
  now: () => number = Date.now,
): (body: unknown) => Promise<void> {
  let known: Promise<ReadonlyMap<string, string>> | undefined;
  let lookedAt = 0;
  const look = (): Promise<ReadonlyMap<string, string>> => {
    if (known !== undefined && now() - lookedAt < freshMs) return known;
    lookedAt = now();
    known = unavailableTypes(backend, [...registry.jobs.keys()]);
    // The store's own trouble is told by the add itself.
    return (known = known.catch(() => new Map()));
  };
  return async (body) => {
    const reasons = await look();
    if (reasons.size === 0) return;
    for (const type of typesIn(body)) {
      const name = registry.find(type)?.name ?? type;
      const reason = reasons.get(name);
      if (reason !== undefined) throw new ProducerError('TYPE_UNAVAILABLE', `No worker can run ${name}: ${reason}`);
    }
  };
}

/** Of the jobs a body adds: one, a batch, a flow. Payloads are the caller's own. */
function typesIn(body: unknown): string[] {
  if (Array.isArray(body)) return body.flatMap(typesIn);
  if (typeof body !== 'object' || body === null) return [];
  return Object.entries(body).flatMap(([name, value]) => {
    if (name === 'type') return typeof value === 'string' ? [value] : [];
    return name === 'items' || name === 'children' ? typesIn(value) : [];
  });
}
