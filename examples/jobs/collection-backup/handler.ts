import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { defineHandler } from '../../../jobs/define.ts';
import collectionBackup from './job.ts';

export default defineHandler(collectionBackup, {
  async run({ collection }, { documents, folder, objects, progress, signal }) {
    const path = join(folder, 'backup.jsonl.gz');
    let count = 0;
    const lines = async function* () {
      for await (const { _version: _left, ...document } of documents.stream(collection, {})) {
        count += 1;
        if (count % 1_000 === 0) progress(50, `${count} documents`);
        yield `${JSON.stringify(document)}\n`;
      }
    };
    await pipeline(lines, createGzip(), createWriteStream(path), { signal });
    // One a day: a retry writes the same one again.
    const key = `backups/${collection}/${new Date().toISOString().slice(0, 10)}.jsonl.gz`;
    const { object, sizeBytes } = await objects.put(key, path, 'application/gzip');
    return { object, documents: count, sizeBytes };
  },
});
