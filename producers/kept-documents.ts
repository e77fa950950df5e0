/** What every route over the documents of a tenant needs: the store or a refusal, and its errors in the words of the API. */
import { DocumentError } from '../runtime/document-checks.ts';
import type { Documents, TenantDocuments } from '../runtime/documents.ts';
import { ProducerError } from './errors.ts';

/** What such a route answers besides its own. */
export const storeMissing = { 503: { description: 'Nothing keeps documents here: set MONGODB_URL.' } };

/** Throws `UNAVAILABLE` where nothing keeps documents. */
export function documentsOf(documents: Documents | undefined, tenant: string): TenantDocuments {
  if (documents !== undefined) return documents.of(tenant);
  throw new ProducerError('UNAVAILABLE', 'Nothing keeps documents here: with the queue on Redis, set MONGODB_URL.');
}

/** `INVALID` for what a caller asked wrongly, such as a cursor of another query; `UNAVAILABLE` when the store is silent. */
export async function askDocuments<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    if (error.code !== 'DOCUMENT_REFUSED')
      throw new ProducerError('UNAVAILABLE', 'The store of documents does not answer.', [], { cause: error });
    throw new ProducerError('INVALID', error.message, [{ path: 'query', message: error.message }], { cause: error });
  }
}
