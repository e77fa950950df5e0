/** The worker's side of a child's calls for documents. */
import { z } from 'zod';
import { giveUp } from '../../jobs/errors.ts';
import type { NewDocument } from '../../jobs/ports.ts';
import type { DocumentCalls } from '../services/documents.ts';
import { openOutput } from '../services/objects.ts';
import { type DocumentCall, newDocument } from './document-calls.ts';

/** `putMany` takes 16 MiB of JSON; the ids and the list around it come on top. */
const fileLimitBytes = 18 * 1_048_576;

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const bounds = z.strictObject({
  in: z.array(scalar).exactOptional(),
  gt: scalar.exactOptional(),
  gte: scalar.exactOptional(),
  lt: scalar.exactOptional(),
  lte: scalar.exactOptional(),
});
const query = z.strictObject({
  filter: z.record(z.string().max(1_024), z.union([scalar, bounds])).exactOptional(),
  sort: z
    .array(z.strictObject({ field: z.string().max(1_024), descending: z.boolean().exactOptional() }))
    .max(8)
    .exactOptional(),
  limit: z.number().exactOptional(),
  after: z.string().max(16_384).exactOptional(),
  fields: z.array(z.string().max(1_024)).max(200).exactOptional(),
  masked: z.boolean().exactOptional(),
});

/** `folder` is the child's: where it may have put documents that are longer than a line. */
export async function performDocumentCall(call: DocumentCall, own: DocumentCalls, folder: string): Promise<unknown> {
  switch (call.name) {
    case 'documentGet':
      return own.get(call.collection, call.id);
    case 'documentPut': {
      const [document] = await documentsOf(call, folder);
      if (document === undefined) throw giveUp('DOCUMENT_REFUSED', 'expected one document, got none');
      return own.put(call.collection, document, call);
    }
    case 'documentPutMany':
      return own.putMany(call.collection, await documentsOf(call, folder), call);
    case 'documentPage': {
      const wanted = query.safeParse(call.query);
      if (!wanted.success) throw giveUp('DOCUMENT_REFUSED', `a query: ${z.prettifyError(wanted.error)}`);
      return own.page(call.collection, wanted.data);
    }
    case 'documentRemove':
      return own.remove(call.collection, call.ids);
    case 'documentRemovePrefix':
      return own.removePrefix(call.collection, call.prefix);
  }
}

async function documentsOf(
  call: { readonly documents?: NewDocument[]; readonly file?: string },
  folder: string,
): Promise<NewDocument[]> {
  if (call.file === undefined) return call.documents ?? [];
  const file = await openOutput(folder, call.file);
  try {
    const { size } = await file.stat();
    if (size > fileLimitBytes)
      throw giveUp('DOCUMENT_REFUSED', `expected at most ${fileLimitBytes} bytes of documents, got ${size}`);
    const bytes = Buffer.alloc(size);
    const { bytesRead } = await file.read(bytes, 0, size, 0);
    const read = z
      .array(newDocument)
      .max(1_000)
      .safeParse(JSON.parse(bytes.toString('utf8', 0, bytesRead)));
    if (!read.success) throw giveUp('DOCUMENT_REFUSED', `documents: ${z.prettifyError(read.error)}`);
    return read.data;
  } catch (error) {
    if (error instanceof SyntaxError) throw giveUp('DOCUMENT_REFUSED', 'documents: no JSON', { cause: error });
    throw error;
  } finally {
    await file.close();
  }
}
