/** What a payload may be: exactly what every store gives back unchanged. Refused at the door, so that moving to another store never changes a job. */
import { inlineLimitBytes } from '../runtime/payload-objects.ts';

const maxDepth = 32;
const maxKeys = 1_000;

/**
 * The JSON text of a payload that every store gives back unchanged, or why there is none. A payload is a JSON object of
 * at most `maxBytes` (256 KiB), 32 levels and 1,000 keys (elements of arrays count) without NUL, lone surrogates, or values JSON has
 * no word for. Key order is not kept by every store, and −0 comes back as 0.
 */
export function portableJson(payload: unknown, maxBytes = inlineLimitBytes): string | { readonly problem: string } {
  if (!isPlainObject(payload)) return { problem: `The payload must be a JSON object, got ${kindOf(payload)}` };
  // On the path of every job: a walk over the shape that builds no text and stops at the first doubt, then one look at
  // the text that is stored anyway. JSON writes NUL and lone surrogates as \u escapes, and hardly anything else.
  const isShapeFine = hasFineShape(payload, 1, { keys: 0 });
  const text = isShapeFine ? JSON.stringify(payload) : '';
  if (!isShapeFine || text.includes('\\u')) {
    const problem = valueProblem(payload, '', 1, { keys: 0 });
    if (problem !== undefined) return { problem };
  }
  const bytes = text.length * 3 > maxBytes ? Buffer.byteLength(text) : 0;
  if (bytes <= maxBytes) return text;
  return {
    problem: `The payload has ${bytes} bytes, allowed are ${maxBytes}; upload large inputs and pass the object`,
  };
}

/** Why `payload` cannot be stored everywhere, in one sentence; undefined when it can. */
export function portabilityProblem(payload: unknown): string | undefined {
  const json = portableJson(payload);
  return typeof json === 'string' ? undefined : json.problem;
}

/** False also where only the slow walk can tell. Texts are not looked at. */
function hasFineShape(value: unknown, depth: number, walk: Walk): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || depth > maxDepth) return false;
  if (Array.isArray(value)) {
    walk.keys += value.length;
    if (walk.keys > maxKeys) return false;
    for (let index = 0; index < value.length; index += 1) {
      if (!hasFineShape(value[index], depth + 1, walk)) return false;
    }
    return true;
  }
  if (!isPlainObject(value)) return false;
  for (const key of Object.keys(value)) {
    walk.keys += 1;
    if (walk.keys > maxKeys || key === '__proto__' || !hasFineShape(value[key], depth + 1, walk)) return false;
  }
  return true;
}

interface Walk {
  keys: number;
}

function valueProblem(value: unknown, path: string, depth: number, walk: Walk): string | undefined {
  switch (typeof value) {
    case 'boolean':
      return undefined;
    case 'number':
      return Number.isFinite(value) ? undefined : `${at(path)} is ${value}: JSON has only finite numbers`;
    case 'string':
      return textProblem(value, path);
    case 'object':
      if (value === null) return undefined;
      if (depth > maxDepth) return `${at(path)} is nested deeper than ${maxDepth} levels`;
      return Array.isArray(value) ? elementsProblem(value, path, depth, walk) : fieldsProblem(value, path, depth, walk);
    case 'bigint':
    case 'function':
    case 'symbol':
    case 'undefined':
      return `${at(path)} is ${kindOf(value)}: JSON has no such value; leave it out or write it as text`;
  }
}

function elementsProblem(values: unknown[], path: string, depth: number, walk: Walk): string | undefined {
  walk.keys += values.length;
  if (walk.keys > maxKeys) return tooMany;
  // By index: a hole of a sparse array is undefined and comes back as null.
  for (let index = 0; index < values.length; index += 1) {
    const problem = valueProblem(values[index], `${path}/${index}`, depth + 1, walk);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function fieldsProblem(value: object, path: string, depth: number, walk: Walk): string | undefined {
  if (!isPlainObject(value)) return `${at(path)} is ${kindOf(value)}: only plain objects come back as they went in`;
  for (const [key, field] of Object.entries(value)) {
    walk.keys += 1;
    if (walk.keys > maxKeys) return tooMany;
    // JSON.parse makes it an own field, but the first spread or assignment on the way would make it a prototype.
    if (key === '__proto__') return `${at(path)} has a field named __proto__`;
    const problem = textProblem(key, `${path}/${key}`) ?? valueProblem(field, `${path}/${key}`, depth + 1, walk);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const tooMany = `The payload has more than ${maxKeys} keys and elements; upload large inputs and pass the object`;

function textProblem(text: string, path: string): string | undefined {
  if (text.includes('\0')) return `${at(path)} contains NUL (U+0000)`;
  return /\p{Surrogate}/u.test(text)
    ? `${at(path)} contains half of a surrogate pair: it is not Unicode text`
    : undefined;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value !== 'object') return typeof value;
  const { constructor } = value;
  return typeof constructor === 'function' ? `an object of class ${constructor.name}` : 'an object';
}

/** A JSON pointer fit for a message: control characters escaped, 80 characters at most. */
function at(path: string): string {
  const shown = JSON.stringify(path).slice(1, -1);
  return path === '' ? 'The payload' : `The payload at ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown}`;
}
