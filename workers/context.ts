/**
 * Builds what a handler may touch. The same code runs in process and in a killable child: only `Services` differs. In
 * process they call the stores; in a child they are messages on its pipe (`isolate/child.ts`), answered by the
 * worker's own `Services`. All their arguments and answers are JSON.
 */
import type { Enqueued, EnqueueOptions, JobContext } from '../jobs/define.ts';
import { JobError } from '../jobs/errors.ts';
import type {
  ChildJob,
  FetchedInput,
  HttpAnswer,
  HttpRequest,
  LogLevel,
  ObjectLink,
  StoredObject,
} from '../jobs/ports.ts';
import { type DocumentCalls, streamPages } from './services/documents.ts';

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
  /** The effect has certainly not happened: as if it had never begun. */
  onceForget(key: string): Promise<void>;
  /** Throws `DEPENDENCY_DOWN` while the circuit is open; else the answer names the call for `dependencyEnd`. */
  dependencyBegin(name: string): Promise<number>;
  dependencyEnd(call: number, outcome: 'failed' | 'ok' | 'unknown'): Promise<void>;
  http(request: HttpRequest): Promise<HttpAnswer>;
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
  objectLink(key: string): Promise<ObjectLink | undefined>;
  children(): Promise<readonly ChildJob[]>;
  readonly documents: DocumentCalls;
}

/**
 * `signal` and `folder` are functions so that an attempt nobody watches makes no AbortController and no folder. Members
 * are made when they are read: a job that does one thing should not pay for ten closures.
 */
export function createContext(
  facts: AttemptFacts,
  services: Services,
  attempt: { readonly folder: () => string; readonly signal: () => AbortSignal },
): JobContext {
  return new AttemptContext(facts, services, attempt);
}

/** Getters on the prototype, so that handlers may destructure what they use. */
class AttemptContext implements JobContext {
  readonly id: string;
  readonly tenant: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly fence: number;
  readonly #services: Services;
  readonly #own: { readonly folder: () => string; readonly signal: () => AbortSignal };

  constructor(
    facts: AttemptFacts,
    services: Services,
    own: { readonly folder: () => string; readonly signal: () => AbortSignal },
  ) {
    this.id = facts.id;
    this.tenant = facts.tenant;
    this.attempt = facts.attempt;
    this.maxAttempts = facts.maxAttempts;
    this.fence = facts.fence;
    this.#services = services;
    this.#own = own;
  }

  get signal(): AbortSignal {
    return this.#own.signal();
  }
  get folder(): string {
    return this.#own.folder();
  }
  get log(): JobContext['log'] {
    const services = this.#services;
    return (message, more, level = 'info') => services.log(level, message, more);
  }
  get once(): JobContext['once'] {
    const services = this.#services;
    return async <T>(key: string, effect: () => Promise<T>, whenUnknown: 'repeat' | 'skip' = 'repeat') => {
      const answer = await services.onceBegin(key, whenUnknown);
      if (answer.state === 'skip') return undefined;
      // The record holds what an earlier attempt's effect returned, as JSON; its type is the effect's by construction.
      if (answer.state === 'done') return answer.result as T;
      let result: T;
      try {
        result = await effect();
      } catch (error) {
        if (error instanceof JobError && error.effect === 'none') await services.onceForget(key);
        throw error;
      }
      // JSON knows no undefined: an effect that answers nothing is replayed as null.
      await services.onceEnd(key, result ?? null);
      return result;
    };
  }
  get progress(): JobContext['progress'] {
    const services = this.#services;
    return (percent, note) => services.progress(percent, note);
  }
  get enqueue(): JobContext['enqueue'] {
    const services = this.#services;
    return (job, payload, options) => services.enqueue(job.name, payload, options);
  }
  get http(): JobContext['http'] {
    const services = this.#services;
    return (request) => services.http(request);
  }
  get dependency(): JobContext['dependency'] {
    const services = this.#services;
    const signal = (): AbortSignal => this.#own.signal();
    return async (name, call, isFailure = isWorthARetry) => {
      const begun = await services.dependencyBegin(name);
      try {
        const answer = await call();
        await services.dependencyEnd(begun, 'ok');
        return answer;
      } catch (error) {
        const outcome = signal().aborted ? 'unknown' : isFailure(error) ? 'failed' : 'ok';
        await services.dependencyEnd(begun, outcome);
        throw error;
      }
    };
  }
  get children(): JobContext['children'] {
    const services = this.#services;
    return () => services.children();
  }
  get objects(): JobContext['objects'] {
    const services = this.#services;
    return {
      fetch: (input, options) => services.objectFetch(input, options),
      put: (key, path, contentType) => services.objectPut(key, path, contentType),
      head: (key) => services.objectHead(key),
      link: (key) => services.objectLink(key),
    };
  }

  get documents(): JobContext['documents'] {
    const { documents } = this.#services;
    return {
      ...documents,
      stream: (collection, query) => streamPages(documents, () => this.#own.signal(), collection, query),
    };
  }
}

/** What speaks against a dependency unless a handler knows better: what the same call may survive a moment later. */
function isWorthARetry(error: unknown): boolean {
  return !(error instanceof JobError) || error.verdict.kind === 'retry';
}
