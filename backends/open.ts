/** Opens the store that QUEUE_URL names. Each driver is loaded only for its own kind of address: a process on Redis maps no pg. */
import type { Backend, BackendOptions } from './backend.ts';
import { BackendError, shownUrl } from './unreachable.ts';

const forms =
  'embedded, embedded:<folder>, embedded:memory, postgres://…, redis://…, redis+sentinel://… or redis+cluster://… (rediss for TLS)';

/**
 * Ready to use when it resolves: reachable, migrated, version checked. Throws `BackendError` with one sentence (cause
 * and fix) for an address it cannot read or a store that does not answer; it does not wait for one to come up.
 */
export async function openBackend(url: string, options: BackendOptions): Promise<Backend> {
  const scheme = /^([a-z0-9+]+):/i.exec(url)?.[1]?.toLowerCase() ?? url.toLowerCase();
  switch (scheme) {
    case 'embedded': {
      const { openEmbeddedBackend } = await import('./embedded.ts');
      return openEmbeddedBackend(url, options);
    }
    case 'postgres':
    case 'postgresql': {
      const { openPostgres } = await import('./postgres.ts');
      return openPostgres(readable(url), { ...options, kind: 'postgres' });
    }
    case 'redis':
    case 'redis+cluster':
    case 'redis+sentinel':
    case 'rediss':
    case 'rediss+cluster':
    case 'rediss+sentinel': {
      const { openRedis } = await import('./redis.ts');
      return openRedis(url, options);
    }
    case 'sqs':
      throw new BackendError(
        'BACKEND_URL',
        `QUEUE_URL ${scheme}: is not supported by this release; use one of ${forms}`,
      );
    default:
      throw new BackendError(
        'BACKEND_URL',
        `QUEUE_URL "${shownUrl(url)}" names no store this release knows; use one of ${forms}`,
      );
  }
}

function readable(url: string): string {
  if (URL.canParse(url)) return url;
  throw new BackendError(
    'BACKEND_URL',
    `QUEUE_URL "${shownUrl(url)}" is no address: expected scheme://[user:password@]host:port/database, with special characters of the password percent-encoded`,
  );
}
