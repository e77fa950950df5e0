/** The files a result names, with links that need no key. */
import type { ObjectStore } from '../runtime/object-store.ts';
import type { JobStatus } from './job-status.ts';
import type { SignedLinks } from './signed-links.ts';

export interface ResultFile {
  readonly object: string;
  readonly url: string;
  readonly contentType: string;
  readonly sizeBytes: number;
}

/** Long enough to watch what was just made; a fresh GET gives fresh links. */
const linkTtlMs = 6 * 3_600_000;
const filesShown = 200;
const headsAtOnce = 16;
const depthRead = 32;

/** Objects of other tenants and objects that are gone are left out. */
export async function filesOf(
  job: Pick<JobStatus, 'result' | 'tenant'>,
  objects: ObjectStore,
  links: SignedLinks,
  baseUrl: string,
): Promise<ResultFile[]> {
  const own = `t/${job.tenant}/`;
  const keys = [...objectKeys(job.result)].filter((key) => key.startsWith(own)).slice(0, filesShown);
  const files: ResultFile[] = [];
  for (let from = 0; from < keys.length; from += headsAtOnce) {
    const heads = await Promise.all(keys.slice(from, from + headsAtOnce).map((key) => objects.head(key)));
    for (const head of heads) {
      if (head === undefined) continue;
      files.push({
        object: `object:${head.key}`,
        url: baseUrl + links.read(head.key, linkTtlMs),
        contentType: head.contentType,
        sizeBytes: head.sizeBytes,
      });
    }
  }
  return files;
}

/** Every `object:<key>` in a result, in its order, each once. */
function objectKeys(result: unknown): Set<string> {
  const found = new Set<string>();
  const walk = (value: unknown, depth: number): void => {
    if (typeof value === 'string') {
      const [, key] = /^object:([A-Za-z0-9._=@+/-]{1,1024})$/.exec(value) ?? [];
      if (key !== undefined) found.add(key);
    } else if (typeof value === 'object' && value !== null && depth < depthRead) {
      for (const item of Object.values(value)) walk(item, depth + 1);
    }
  };
  walk(result, 0);
  return found;
}
