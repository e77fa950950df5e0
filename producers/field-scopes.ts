/**
 * Fields of payloads that only some keys may set: those marked with `.meta({ scope })` in the schema of a job type, such as
 * `unmasked` of exports. Looked for in every body that carries payloads, whatever the route.
 */
import { z } from 'zod';
import type { Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { ProducerError } from './errors.ts';
import { type Credential, type Scope, scopes } from './keys.ts';

type Fields = ReadonlyMap<string, Scope>;

/** By job type; empty for almost every one. */
export type FieldScopes = ReadonlyMap<string, Fields>;

export function fieldScopes(registry: Registry): FieldScopes {
  return new Map([...registry.jobs.values()].map((job) => [job.name, scopedFields(job)]));
}

function scopedFields({ payload }: Job): Fields {
  const fields = new Map<string, Scope>();
  if (!(payload instanceof z.ZodObject)) return fields;
  for (const [name, field] of Object.entries(payload.shape)) {
    const wanted: unknown = field instanceof z.ZodType ? field.meta()?.['scope'] : undefined;
    const scope = scopes.find((one) => one === wanted);
    if (scope !== undefined) fields.set(name, scope);
  }
  return fields;
}

const maxDepth = 32;

/** Throws `FORBIDDEN` where the body sets such a field and the key lacks its scope. A field that is false or null asks for nothing. */
export function refuseUnscoped(
  known: FieldScopes,
  registry: Pick<Registry, 'find'>,
  body: unknown,
  { scopes: held }: Pick<Credential, 'scopes'>,
): void {
  const look = (value: unknown, depth: number): void => {
    if (typeof value !== 'object' || value === null || depth > maxDepth) return;
    if (Array.isArray(value)) {
      for (const item of value) look(item, depth + 1);
      return;
    }
    const entries = new Map<string, unknown>(Object.entries(value));
    const type = entries.get('type');
    const job = typeof type === 'string' ? registry.find(type) : undefined;
    for (const [name, item] of entries) {
      // What is inside a payload is the caller's own.
      if (name === 'payload' || name === 'patch') check(item, job === undefined ? [...known.keys()] : [job.name]);
      else look(item, depth + 1);
    }
  };
  const check = (payload: unknown, types: readonly string[]): void => {
    if (typeof payload !== 'object' || payload === null) return;
    for (const type of types)
      for (const [field, scope] of known.get(type) ?? [])
        if (Boolean(Reflect.get(payload, field)) && !held.includes(scope))
          throw new ProducerError('FORBIDDEN', `payload.${field} of ${type} wants a key with the scope "${scope}".`);
  };
  look(body, 0);
}
