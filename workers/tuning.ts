/** The concurrency that operators set for a queue, as this process knows it. */
import type { Backend } from '../backends/backend.ts';
import { readTunings } from '../backends/tunings.ts';
import { keepRead } from './reread.ts';

export interface Tunings {
  /** Attempts at once; undefined where nobody set it. */
  readonly of: (queue: string) => number | undefined;
  stop(): Promise<void>;
}

/** `onChange` hears of each queue whose number changed after the first read; undefined: nobody sets it any more. */
export async function watchTunings(parts: {
  readonly backend: Pick<Backend, 'control' | 'records'>;
  readonly queues: readonly string[];
  readonly onChange: (queue: string, is: number | undefined) => void;
  readonly onError: (error: unknown) => void;
  /** Default 5,000. */
  readonly rereadMs?: number;
}): Promise<Tunings> {
  const { backend, queues, onChange } = parts;
  let known: ReadonlyMap<string, number> | undefined;
  const stop = await keepRead({
    control: backend.control,
    kind: 'tune',
    read: async () => {
      const found = await readTunings(backend.records, queues);
      const before = known;
      known = new Map(Array.from(found, ([queue, { concurrency }]) => [queue, concurrency]));
      if (before === undefined) return;
      for (const queue of queues) if (before.get(queue) !== known.get(queue)) onChange(queue, known.get(queue));
    },
    onError: parts.onError,
    ...(parts.rereadMs === undefined ? {} : { everyMs: parts.rereadMs }),
  });
  return { of: (queue) => known?.get(queue), stop };
}
