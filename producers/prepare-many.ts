/** Checks the jobs of one call, all of them before any is stored. */
import type { EnqueueOptions } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { none, type Prepared, type PrepareParts, prepare } from './accept.ts';
import { type FieldError, ProducerError, unknownType } from './errors.ts';

const itemsAtOnce = 1_000;
/** Errors told of one call; it can be wrong in a thousand places. */
const errorsShown = 20;

interface Unchecked {
  readonly type: string;
  readonly payload: unknown;
  readonly options?: EnqueueOptions | undefined;
}

/** Throws `INVALID`, or the code of the first bad item, with the paths of them all: `items.3.payload.to`. */
export function prepareMany(
  items: readonly Unchecked[],
  parts: PrepareParts & {
    readonly registry: Pick<Registry, 'find' | 'jobs'>;
    readonly newId: (type: string) => string;
  },
): Prepared[] {
  if (items.length > itemsAtOnce) {
    const message = `At most ${itemsAtOnce} items a call, got ${items.length}`;
    throw new ProducerError('INVALID', message, [{ path: 'items', message }]);
  }
  const prepared: Prepared[] = [];
  const errors: FieldError[] = [];
  let first: ProducerError | undefined;
  for (const [index, { type, payload, options = none }] of items.entries()) {
    const where = `items.${index}.`;
    try {
      const job = parts.registry.find(type);
      if (job === undefined) throw unknownType(type, parts.registry, where);
      prepared.push(prepare(job, parts.newId(job.name), payload, options, parts, where));
    } catch (error) {
      if (!(error instanceof ProducerError)) throw error;
      first ??= error;
      errors.push(...error.errors);
      if (errors.length >= errorsShown) break;
    }
  }
  if (first !== undefined) throw new ProducerError(first.code, first.message, errors.slice(0, errorsShown));
  return prepared;
}
