/** Chooses the object store by `STORAGE_URL`. */
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigurationError } from './env.ts';
import { checkKey, type ObjectStore } from './object-store.ts';
import { openFolderStore } from './object-store-folder.ts';

function folderOf(storageUrl: string, baseDir: string): string {
  if (storageUrl.startsWith('file://')) return fileURLToPath(storageUrl);
  const folder = decodeURIComponent(storageUrl.slice('file:'.length));
  return isAbsolute(folder) ? folder : resolve(baseDir, folder);
}

interface Environment {
  readonly AWS_ENDPOINT_URL_S3?: string | undefined;
  readonly AWS_ENDPOINT_URL?: string | undefined;
}

/** Bucket and prefix of `s3://bucket/prefix`; the prefix ends with a slash or is empty. */
function placeOf(storageUrl: string): { bucket: string; prefix: string } | undefined {
  const [, bucket, path = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(storageUrl) ?? [];
  if (bucket === undefined) return undefined;
  const prefix = path.replace(/\/+$/, '');
  return { bucket, prefix: prefix === '' ? '' : `${checkKey(prefix)}/` };
}

/**
 * `file:<folder>` (relative to `baseDir`, made when missing) or `s3://bucket[/prefix]`. The S3 client is loaded only for
 * the second; it takes region, credentials and endpoint (`AWS_ENDPOINT_URL_S3`) from the environment, as every AWS
 * program does. Throws `ConfigurationError` for anything else.
 */
export async function openObjectStore(
  storageUrl: string,
  options: { readonly baseDir: string; readonly environment?: Environment },
): Promise<ObjectStore> {
  if (storageUrl.startsWith('file:') && storageUrl.length > 'file:'.length) {
    return openFolderStore(folderOf(storageUrl, options.baseDir));
  }
  const place = placeOf(storageUrl);
  if (place !== undefined) {
    const environment: Environment = options.environment ?? process.env;
    const isCustom = (environment.AWS_ENDPOINT_URL_S3 ?? environment.AWS_ENDPOINT_URL ?? '') !== '';
    const { openS3Store } = await import('./object-store-s3.ts');
    // Servers that are not Amazon's seldom answer to bucket.host; the SDK reads the endpoint itself.
    return openS3Store({ ...place, client: { forcePathStyle: isCustom } });
  }
  throw new ConfigurationError(
    `STORAGE_URL: expected file:<folder> or s3://bucket/prefix, got "${storageUrl.slice(0, 80)}"`,
  );
}
