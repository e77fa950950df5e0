/** Chooses the object store by `STORAGE_URL`. */
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigurationError } from './env.ts';
import type { ObjectStore } from './object-store.ts';
import { openFolderStore } from './object-store-folder.ts';

function folderOf(storageUrl: string, baseDir: string): string {
  if (storageUrl.startsWith('file://')) return fileURLToPath(storageUrl);
  const folder = decodeURIComponent(storageUrl.slice('file:'.length));
  return isAbsolute(folder) ? folder : resolve(baseDir, folder);
}

/**
 * `file:<folder>` (relative to `baseDir`, made when missing) or `s3://bucket[/prefix]`. The S3 client is loaded only for
 * the second; it takes region, credentials and endpoint (`AWS_ENDPOINT_URL_S3`) from the environment, as every AWS
 * program does. Throws `ConfigurationError` for anything else.
 */
export async function openObjectStore(storageUrl: string, options: { readonly baseDir: string }): Promise<ObjectStore> {
  if (storageUrl.startsWith('file:') && storageUrl.length > 'file:'.length) {
    return openFolderStore(folderOf(storageUrl, options.baseDir));
  }
  throw new ConfigurationError(
    `STORAGE_URL: expected file:<folder> or s3://bucket/prefix, got "${storageUrl.slice(0, 80)}"`,
  );
}
