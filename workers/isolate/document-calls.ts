/**
 * Documents over the pipe of a child. A line upwards holds 64 KiB and a document 1 MiB: what is longer goes as a file in
 * the child's folder. `document-desk.ts` is the worker's side, which checks everything again.
 */
import { rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { NewDocument } from '../../jobs/ports.ts';
import type { DocumentCalls } from '../services/documents.ts';

const inlineBytes = 48 * 1_024;

const collection = z.string().max(64);
const id = z.string().max(2_048);
export const newDocument = z.looseObject({ _id: id });
const documents = {
  /** Or in `file`. */
  documents: z.array(newDocument).max(1_000).exactOptional(),
  file: z.string().max(4_096).exactOptional(),
  ttlMs: z.number().exactOptional(),
};

/** What a child may ask of documents. */
export const documentCall = z.discriminatedUnion('name', [
  z.object({ name: z.literal('documentGet'), collection, id }),
  z.object({ name: z.literal('documentPut'), collection, ...documents, version: z.number().exactOptional() }),
  z.object({ name: z.literal('documentPutMany'), collection, ...documents }),
  z.object({ name: z.literal('documentPage'), collection, query: z.unknown() }),
  z.object({ name: z.literal('documentRemove'), collection, ids: z.array(id).max(1_000) }),
  z.object({ name: z.literal('documentRemovePrefix'), collection, prefix: id }),
]);
export type DocumentCall = z.output<typeof documentCall>;

const stored = z.looseObject({ _id: z.string(), _version: z.number() });
const page = z.object({
  items: z.array(z.custom<z.output<typeof stored>>(isStored)),
  next: z.string().exactOptional(),
  attribution: z.string().exactOptional(),
});

/** The worker is believed, and a page has a thousand of them: a look is enough. */
function isStored(value: unknown): boolean {
  return typeof value === 'object' && value !== null && '_id' in value && '_version' in value;
}

type Ask = <S extends z.ZodType>(schema: S, call: DocumentCall) => Promise<z.output<S>>;

/** The child's side. */
export function childDocuments(ask: Ask): DocumentCalls {
  let files = 0;
  /** Sends the documents in the line or in a file that lives as long as the call. */
  const withDocuments = async <T>(
    many: readonly NewDocument[],
    send: (carried: { documents: NewDocument[] } | { file: string }) => Promise<T>,
  ): Promise<T> => {
    const json = JSON.stringify(many);
    if (Buffer.byteLength(json) <= inlineBytes) return send({ documents: [...many] });
    const file = resolve(`documents-${++files}.json`);
    await writeFile(file, json, { flag: 'wx', mode: 0o600 });
    try {
      return await send({ file });
    } finally {
      await rm(file, { force: true });
    }
  };
  return {
    get: (name, one) => ask(stored.optional(), { name: 'documentGet', collection: name, id: one }),
    put: (name, document, options = {}) =>
      withDocuments([document], (carried) =>
        ask(z.boolean(), { name: 'documentPut', collection: name, ...carried, ...options }),
      ),
    putMany: (name, many, options = {}) =>
      withDocuments(many, async (carried) => {
        await ask(z.unknown(), { name: 'documentPutMany', collection: name, ...carried, ...options });
      }),
    page: (name, wanted) => ask(page, { name: 'documentPage', collection: name, query: wanted }),
    remove: (name, ids) => ask(z.number(), { name: 'documentRemove', collection: name, ids: [...ids] }),
    removePrefix: (name, prefix) => ask(z.number(), { name: 'documentRemovePrefix', collection: name, prefix }),
  };
}
