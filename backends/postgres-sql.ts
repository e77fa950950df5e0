/** Statements of documents on the pool of the queue: limited in time on the server, and in number, so that claims always find a connection. */
import { bulkhead } from 'cockatiel';
import type { Pool } from 'pg';
import { DocumentError } from '../runtime/document-checks.ts';
import type { Sql } from '../runtime/documents-postgres.ts';
import { isLost, repeated } from './postgres-pool.ts';
import { errorCode, errorText } from './unreachable.ts';

/** Of the ten connections that are nobody's own. */
const atOnce = 5;

export function postgresSql(pool: Pool): Sql {
  const limited = bulkhead(atOnce, Number.MAX_SAFE_INTEGER);
  return {
    async run<Row extends object>(
      text: string,
      values: readonly unknown[],
      { timeoutMs, mayRepeat }: Parameters<Sql['run']>[2],
    ) {
      try {
        return await limited.execute(() =>
          repeated(pool, () => runOne<Row>(pool, text, values, timeoutMs), { losses: mayRepeat }),
        );
      } catch (error) {
        throw explain(error, timeoutMs);
      }
    },
  };
}

/**
 * A table that was filled just now has no statistics: the server takes it for tiny, and reads and sorts all that is behind
 * the place of a page. Without bitmaps it walks the index in order, which is right for a page of any table.
 */
const inOrder = 'SET LOCAL enable_bitmapscan = off';

async function runOne<Row extends object>(
  pool: Pool,
  text: string,
  values: readonly unknown[],
  timeoutMs: number,
): Promise<Row[]> {
  const client = await pool.connect();
  try {
    await client.query(`BEGIN; SET LOCAL statement_timeout = ${Math.round(timeoutMs)}; ${inOrder}`);
    const { rows } = await (values.length === 0 ? client.query<Row>(text) : client.query<Row>(text, [...values]));
    await client.query('COMMIT');
    client.release();
    return rows;
  } catch (error) {
    // A connection that cannot even roll back is of no use to the next one.
    await client.query('ROLLBACK').then(
      () => client.release(),
      () => client.release(true),
    );
    throw error;
  }
}

function explain(error: unknown, timeoutMs: number): unknown {
  const cause = { cause: error };
  if (errorCode(error) === '57014')
    return new DocumentError('QUERY_TIMEOUT', `PostgreSQL stopped a query over documents after ${timeoutMs} ms`, cause);
  if (isLost(error))
    return new DocumentError('NETWORK', `PostgreSQL, which keeps the documents: ${errorText(error)}`, cause);
  return error;
}
