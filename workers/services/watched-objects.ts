/**
 * An object store behind its circuit breaker: whatever a job wants of it (inputs, outputs, a payload kept beside the job,
 * a review) is counted, and put off while the store is left alone. A body counts until its last byte: a store that breaks
 * off in the middle is not back.
 */
import { finished, type Readable } from 'node:stream';
import { z } from 'zod';
import { JobError } from '../../jobs/errors.ts';
import { ObjectKeyError, ObjectRangeError, type ObjectStore, ObjectTooLargeError } from '../../runtime/object-store.ts';
import type { Breakers, CallOutcome, Pass } from '../breaker.ts';
import { AbortedError } from '../running.ts';

/** What attempts need of a store. */
export type AttemptStore = Pick<ObjectStore, 'get' | 'head' | 'kind' | 'presign' | 'put'>;

/** `name` is that of the dependency. Its calls throw `DEPENDENCY_DOWN` (later) while the circuit is open, else what the store throws. */
export function watchedStore(store: AttemptStore, name: string, breakers: Pick<Breakers, 'enter'>): AttemptStore {
  const counted = async <T>(work: () => Promise<T>): Promise<T> => {
    const pass = breakers.enter(name);
    try {
      const answer = await work();
      pass.leave('ok');
      return answer;
    } catch (error) {
      pass.leave(outcomeOf(error), triesOf(error));
      throw error;
    }
  };
  return {
    kind: store.kind,
    put: (key, body, options) => counted(() => store.put(key, body, options)),
    head: (key) => counted(() => store.head(key)),
    async get(key, options) {
      const pass = breakers.enter(name);
      try {
        const found = await store.get(key, options);
        if (found === undefined) pass.leave('ok');
        else leaveWith(found.body, pass);
        return found;
      } catch (error) {
        pass.leave(outcomeOf(error), triesOf(error));
        throw error;
      }
    },
    // Computed here, without the store.
    presign: (request) => store.presign(request),
  };
}

/** The call ends with the body. A reader that wants no more of it has got an answer. */
export function leaveWith(body: Readable, pass: Pass): void {
  finished(body, (error) => pass.leave(error === null || error === undefined ? 'ok' : outcomeOf(error)));
}

/** What speaks against a dependency: no answer, a broken one, 5xx. What it refuses, and what went wrong with us, does not. */
export function outcomeOf(error: unknown): CallOutcome {
  if (error instanceof JobError) {
    const status = /^HTTP_(\d)/.exec(error.code)?.[1];
    if (error.code === 'NETWORK' || status === '5') return 'failed';
    return status !== undefined || answeredCodes.has(error.code) ? 'ok' : 'unknown';
  }
  if (error instanceof ObjectTooLargeError || error instanceof ObjectRangeError) return 'ok';
  const isOurs = error instanceof ObjectKeyError || error instanceof AbortedError || !(error instanceof Error);
  if (isOurs || error.name === 'AbortError') return 'unknown';
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ERR_STREAM_PREMATURE_CLOSE') return 'ok';
  if (code === 'ENOSPC') return 'unknown';
  return isRefusal(error) ? 'ok' : 'failed';
}

/** It had to be there to be too large or empty. */
const answeredCodes: ReadonlySet<string> = new Set(['BAD_SOURCE', 'LIMIT_EXCEEDED']);

/** An answer of S3 in the 400s, but for "slow down": it is there, whoever is to blame. */
function isRefusal(error: Error): boolean {
  const status = factsOf(error).httpStatusCode ?? 0;
  return status >= 400 && status <= 499 && status !== 429;
}

/** The client of S3 repeats a failed request by itself: a job alone would else be dead before the circuit opens. */
function triesOf(error: unknown): number {
  return factsOf(error).attempts ?? 1;
}

const s3Facts = z.object({
  $metadata: z.object({ httpStatusCode: z.number().optional(), attempts: z.number().optional() }),
});

function factsOf(error: unknown): z.output<typeof s3Facts>['$metadata'] {
  return s3Facts.safeParse(error).data?.$metadata ?? {};
}
