/** Chooses where documents are kept: MongoDB when `MONGODB_URL` is set, else the PostgreSQL that keeps the queue, else nowhere. */
import type { Collections, Documents } from './documents.ts';
import type { Sql } from './documents-postgres.ts';
import { ConfigurationError } from './env.ts';

/** Connections to MongoDB at most, and those kept. */
export const mongoPools = {
  api: { maxPoolSize: 100, minPoolSize: 10 },
  worker: { maxPoolSize: 20, minPoolSize: 0 },
} as const;

/**
 * Undefined where nothing keeps documents. Connects and makes collections when it is first asked. The driver of MongoDB
 * is loaded only with its address. Throws `ConfigurationError` for an address that is none.
 */
export async function openDocuments(
  collections: Collections,
  places: {
    readonly mongoUrl: string | undefined;
    readonly sql: Sql | undefined;
    readonly pool: (typeof mongoPools)[keyof typeof mongoPools];
  },
): Promise<Documents | undefined> {
  if (places.mongoUrl !== undefined) {
    const { mongoDocuments } = await import('./documents-mongo.ts');
    try {
      return mongoDocuments(places.mongoUrl, collections, places.pool);
    } catch (error) {
      // Without the address: it may hold a password.
      throw new ConfigurationError(
        `MONGODB_URL: expected mongodb://… or mongodb+srv://… (${error instanceof Error ? error.name : 'no address'})`,
      );
    }
  }
  if (places.sql === undefined) return undefined;
  const { postgresDocuments } = await import('./documents-postgres.ts');
  return postgresDocuments(places.sql, collections);
}
