/** The store the package brings along: PostgreSQL on a server of our own (`embedded/`), so all of `postgres.ts` applies. */
import { isAbsolute, resolve } from 'node:path';
import type { Backend, BackendOptions, StoreFinding } from './backend.ts';
import { openMemory } from './embedded/memory.ts';
import { openEmbedded } from './embedded/server.ts';

/** `embedded` (= `embedded:.jobfleet/queue`), `embedded:<folder>`, or `embedded:memory` (a database of its own, dropped on close). */
export async function openEmbeddedBackend(url: string, options: BackendOptions): Promise<Backend> {
  const given = url.slice('embedded:'.length);
  let onStarting = (): void => undefined;
  const isStarting = new Promise<void>((resolve) => {
    onStarting = () => {
      resolve();
      options.onStarting?.();
    };
  });
  // The server starts while BullMQ is imported; not before it was started, because an import holds the event loop.
  const opening =
    given === 'memory'
      ? openMemory({
          onError: options.onError,
          prepare: async (pool) => (await import('./postgres-schema.ts')).migrate(pool),
          onStarting,
        })
      : openEmbedded(folder(given, options.baseDir), { onError: options.onError, onStarting });
  const importing = isStarting.then(() => import('./postgres.ts'));
  const [server, { openPostgres }] = await Promise.all([opening, importing]);
  try {
    const backend = await openPostgres(server.url, {
      ...options,
      kind: 'embedded',
      shownAs: `The embedded store (${url})`,
      afterClose: () => server.close(),
    });
    return given === 'memory' ? { ...backend, inspect: () => Promise.resolve(throwAway) } : backend;
  } catch (error) {
    await server.close();
    throw error;
  }
}

const throwAway: readonly StoreFinding[] = [
  { check: 'durability', state: 'ok', detail: 'a throw-away database for tests: nothing outlives the process.' },
];

function folder(given: string, baseDir = process.cwd()): string {
  const path = given === '' ? '.jobfleet/queue' : given;
  return isAbsolute(path) ? path : resolve(baseDir, path);
}
