/** The store the package brings along: PostgreSQL on a server of our own (`embedded/`), so all of `postgres.ts` applies. */
import { isAbsolute, resolve } from 'node:path';
import type { Backend, BackendOptions } from './backend.ts';
import { openMemory } from './embedded/memory.ts';
import { openEmbedded } from './embedded/server.ts';
import { migrate, openPostgres } from './postgres.ts';

/** `embedded` (= `embedded:.jobfleet/queue`), `embedded:<folder>`, or `embedded:memory` (a database of its own, dropped on close). */
export async function openEmbeddedBackend(url: string, options: BackendOptions): Promise<Backend> {
  const given = url.slice('embedded:'.length);
  const server =
    given === 'memory'
      ? await openMemory({ onError: options.onError, prepare: migrate })
      : await openEmbedded(folder(given, options.baseDir), { onError: options.onError });
  try {
    return await openPostgres(server.url, {
      ...options,
      kind: 'embedded',
      shownAs: `The embedded store (${url})`,
      afterClose: () => server.close(),
    });
  } catch (error) {
    await server.close();
    throw error;
  }
}

function folder(given: string, baseDir = process.cwd()): string {
  const path = given === '' ? '.jobfleet/queue' : given;
  return isAbsolute(path) ? path : resolve(baseDir, path);
}
