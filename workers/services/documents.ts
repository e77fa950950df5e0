/** The documents of an attempt: its tenant's, with the store's troubles in the words of jobs; and how they are streamed, on both sides of a child's pipe. */
import { giveUp, JobError, retry } from '../../jobs/errors.ts';
import type { DocumentPage, DocumentQuery, JobDocuments, StoredDocument } from '../../jobs/ports.ts';
import { checkPath, DocumentError, valueAt } from '../../runtime/document-checks.ts';
import type { Documents } from '../../runtime/documents.ts';
import { maskField } from '../../runtime/mask.ts';
import type { Breakers } from '../breaker.ts';

/** What crosses the pipe; `stream` is made of pages on the handler's side. */
export type DocumentCalls = Omit<JobDocuments, 'stream'>;

/** Why a type that needs documents cannot run without a store for them. */
export const documentsMissing =
  'MONGODB_URL is missing: documents are kept by MongoDB when the queue is on Redis. Set it for every API and worker.';

/** `documents` undefined: every call is `DOCUMENTS_MISSING`. A store that does not answer is left alone by its circuit breaker, where there are breakers. */
export function attemptDocuments(
  documents: Documents | undefined,
  tenant: string,
  breakers?: Pick<Breakers, 'enter'>,
): DocumentCalls {
  if (documents === undefined) {
    const refuse = async (): Promise<never> => {
      throw giveUp('DOCUMENTS_MISSING', documentsMissing);
    };
    return { get: refuse, put: refuse, putMany: refuse, page: refuse, remove: refuse, removePrefix: refuse };
  }
  const own = documents.of(tenant);
  const translated = <T>(work: () => Promise<T>): Promise<T> => counted(work, breakers);
  return {
    get: (collection, id) => translated(() => own.get(collection, id)),
    put: (collection, document, options) => translated(() => own.put(collection, document, options)),
    putMany: (collection, many, options) => translated(() => own.putMany(collection, many, options)),
    page: (collection, { fields, masked, ...query }) =>
      translated(async () => {
        const found = await own.page(collection, query);
        const attribution = documents.attributionOf(collection);
        const page = attribution === undefined ? found : { ...found, attribution };
        if (fields === undefined && masked !== true) return page;
        const shape = shaperOf(fields, masked === true);
        return { ...page, items: page.items.map(shape) };
      }),
    remove: (collection, ids) => translated(() => own.remove(collection, ids)),
    removePrefix: (collection, prefix) => translated(() => own.removePrefix(collection, prefix)),
  };
}

/** Who keeps documents in a collection: for what the system does for every tenant. */
export async function tenantsWith(
  documents: Documents | undefined,
  collection: string,
  breakers: Pick<Breakers, 'enter'>,
): Promise<readonly string[]> {
  if (documents === undefined) throw giveUp('DOCUMENTS_MISSING', documentsMissing);
  return counted(() => documents.tenants(collection), breakers);
}

/** In the worker, so that a child never holds what it is not to see. Runs for every row of an export. */
function shaperOf(
  fields: readonly string[] | undefined,
  masked: boolean,
): (document: StoredDocument) => StoredDocument {
  const paths = fields?.map((field) => ({ field, path: field === '_id' ? ['_id'] : checkPath(field) }));
  return (document) => {
    const { _id, _version } = document;
    const shown: Record<string, unknown> = paths === undefined ? { ...document } : {};
    for (const { field, path } of paths ?? []) shown[field] = valueAt(document, path);
    if (masked) for (const field of Object.keys(shown)) shown[field] = maskField(field, shown[field]);
    return Object.assign(shown, { _id, _version });
  };
}

async function counted<T>(work: () => Promise<T>, breakers: Pick<Breakers, 'enter'> | undefined): Promise<T> {
  const pass = breakers?.enter('documents');
  try {
    const answer = await work();
    pass?.leave('ok');
    return answer;
  } catch (error) {
    // What is refused, or too slow for its time, says nothing against the store.
    pass?.leave(error instanceof DocumentError && error.code === 'NETWORK' ? 'failed' : 'unknown');
    if (!(error instanceof DocumentError)) throw error;
    throw asJobError(error);
  }
}

function asJobError(error: DocumentError): JobError {
  const cause = { cause: error };
  switch (error.code) {
    case 'DOCUMENT_REFUSED':
      return giveUp('DOCUMENT_REFUSED', error.message, cause);
    case 'DOCUMENTS_UNSUPPORTED':
      return giveUp('DOCUMENTS_MISSING', error.message, cause);
    case 'NETWORK':
      return retry('NETWORK', error.message, 0, cause);
    case 'QUERY_TIMEOUT':
      return retry('QUERY_TIMEOUT', error.message, 0, cause);
  }
}

const streamPage = 1_000;

/** The next page is read while the last one is worked on; never more than one ahead. */
export async function* streamPages(
  calls: Pick<DocumentCalls, 'page'>,
  signal: () => AbortSignal,
  collection: string,
  query: DocumentQuery,
): AsyncGenerator<StoredDocument, void, undefined> {
  const read = (after: string | undefined): Promise<DocumentPage> => {
    const page = calls.page(collection, { ...query, limit: streamPage, ...(after === undefined ? {} : { after }) });
    // Who stops taking never meets the failure of the page read ahead.
    page.catch(() => undefined);
    return page;
  };
  let coming: Promise<DocumentPage> | undefined = read(undefined);
  while (coming !== undefined) {
    const page: DocumentPage = await coming;
    signal().throwIfAborted();
    coming = page.next === undefined ? undefined : read(page.next);
    yield* page.items;
  }
}
