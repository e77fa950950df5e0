/**
 * Builds what a handler may touch. The same code runs in process and in a killable child: only `Services` differs. In
 * process they call the stores; in a child they are messages on its pipe (`isolate/child.ts`), answered by the
 * worker's own `Services`. All their arguments and answers are JSON.
 */
import type { Enqueued, EnqueueOptions, JobContext } from '../jobs/define.ts';
import type { FetchedInput, LogLevel, StoredObject } from '../jobs/ports.ts';

/** What differs per attempt. */
export interface AttemptFacts {
  readonly id: string;
  readonly tenant: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly fence: number;
}

export type OnceAnswer =
  | { readonly state: 'done'; readonly result: unknown }
  | { readonly state: 'run' }
  | { readonly state: 'skip' };

export interface Services {
  /** Writes the intent (put-if-absent, with the fence) and says what to do. */
  onceBegin(key: string, whenUnknown: 'repeat' | 'skip'): Promise<OnceAnswer>;
  /** Confirms the intent with its result. */
  onceEnd(key: string, result: unknown): Promise<void>;
  enqueue(
    type: string,
    payload: unknown,
    options: Pick<EnqueueOptions, 'delayMs'> & { readonly key: string },
  ): Promise<Enqueued>;
  progress(percent: number, note: string | undefined): void;
  log(level: LogLevel, message: string, facts: Readonly<Record<string, unknown>> | undefined): void;
  objectFetch(input: string, options: { readonly maxBytes: number }): Promise<FetchedInput>;
  objectPut(key: string, path: string, contentType: string): Promise<StoredObject>;
  objectHead(key: string): Promise<StoredObject | undefined>;
}

/** `signal` is a function so that an attempt nobody watches makes no AbortController (performance.md: it costs more than the rest of the context). */
export function createContext(
  facts: AttemptFacts,
  services: Services,
  attempt: { readonly folder: () => string; readonly signal: () => AbortSignal },
): JobContext {
  return {
    ...facts,
    get signal() {
      return attempt.signal();
    },
    get folder() {
      return attempt.folder();
    },
    log: (message, more, level = 'info') => services.log(level, message, more),
    async once<T>(key: string, effect: () => Promise<T>, whenUnknown: 'repeat' | 'skip' = 'repeat') {
      const answer = await services.onceBegin(key, whenUnknown);
      if (answer.state === 'skip') return undefined;
      // The record holds what an earlier attempt's effect returned, as JSON; its type is the effect's by construction.
      if (answer.state === 'done') return answer.result as T;
      const result = await effect();
      await services.onceEnd(key, result);
      return result;
    },
    progress: (percent, note) => services.progress(percent, note),
    enqueue: (job, payload, options) => services.enqueue(job.name, payload, options),
    objects: {
      fetch: (input, options) => services.objectFetch(input, options),
      put: (key, path, contentType) => services.objectPut(key, path, contentType),
      head: (key) => services.objectHead(key),
    },
  };
}
