/** A context without a worker, for benches of a handler's own work: notes go nowhere, nothing is enqueued or asked. */
import { Readable } from 'node:stream';
import type { JobContext } from '../jobs/define.ts';
import { attemptDocuments } from '../workers/services/documents.ts';

const none = (what: string) => async () => Promise.reject(new Error(`${what} is not part of this bench`));

export function bareContext(own: Partial<JobContext>): JobContext {
  return {
    id: 'bench',
    tenant: '-',
    attempt: 1,
    maxAttempts: 1,
    fence: 1,
    signal: new AbortController().signal,
    folder: '',
    log: () => undefined,
    progress: () => undefined,
    once: async (_key, effect) => effect(),
    enqueue: none('adding a job'),
    http: none('asking a server'),
    dependency: async (_name, call) => call(),
    children: async () => [],
    objects: { fetch: none('an input'), put: none('an output'), head: none('an output'), link: none('a link') },
    documents: { ...attemptDocuments(undefined, '-'), stream: () => Readable.from([]) },
    ...own,
  };
}
