/**
 * M7: an export of documents as CSV in its killable child, with guard, casts, checksum and bound, against the shortest way
 * there is: pages of the same table, piped through csv-stringify into a file, in one process. The documents are in an
 * embedded PostgreSQL that both sides read. Memory is the highest of the child and what the worker itself grows by.
 */
import { createWriteStream, readFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { stringify } from 'csv-stringify';
import { Pool as PgPool } from 'pg';
import { openBackend } from '../backends/open.ts';
import handler from '../jobs/data-export/handler.ts';
import { type Documents, mergeCollections } from '../runtime/documents.ts';
import { postgresDocuments } from '../runtime/documents-postgres.ts';
import { childrenOf } from '../tests/support/children.ts';
import { openPool, type Pool } from '../workers/isolate/pool.ts';
import { runJob } from '../workers/testing.ts';
import { atLeast, atMost, type BenchOptions, type Goal, goal, type Round } from './goal.ts';

const collection = 'bench_rows';
const columns = [
  { field: '_id', header: 'id' },
  { field: 'name' },
  { field: 'note' },
  { field: 'amount', type: 'number' },
  { field: 'active', type: 'boolean' },
  { field: 'at', type: 'date' },
] as const;
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

async function fill(documents: Documents, rows: number): Promise<void> {
  const own = documents.of('bench');
  for (let at = 0; at < rows; at += 1_000) {
    const batch = Array.from({ length: Math.min(1_000, rows - at) }, (_, n) => ({
      _id: String(at + n).padStart(9, '0'),
      name: `Customer ${at + n}`,
      note: n % 50 === 0 ? '=1+1; "quoted"' : 'an ordinary remark of some length',
      amount: (at + n) / 4,
      active: n % 2 === 0,
      at: new Date(1_700_000_000_000 + (at + n) * 1_000).toISOString(),
    }));
    await own.putMany(collection, batch);
  }
}

/** However many rows. */
const childLimitMb = 200;

interface Side {
  readonly perSecond: number;
  readonly bytes: number;
}

async function ours(
  documents: Documents,
  pool: Pool,
  rows: number,
): Promise<Side & { childMb: number; grewMb: number }> {
  const before = process.memoryUsage.rss();
  let childMb = 0;
  let highest = before;
  const watching = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage.rss());
    for (const pid of childrenOf(process.pid)) childMb = Math.max(childMb, highestMb(pid));
  }, 100);
  const startedAt = performance.now();
  const payload = { collection, columns, format: 'csv', unmasked: true };
  const run = await runJob(handler, payload, { tenant: 'bench', documents, pool });
  const seconds = (performance.now() - startedAt) / 1_000;
  clearInterval(watching);
  const { result, error } = run;
  await run.close();
  if (error !== undefined) throw error;
  const { rows: exported, bytes } = handler.job.result.parse(result) as { rows: number; bytes: number };
  if (exported !== rows) throw new Error(`expected ${rows} rows, got ${exported}; the run is void`);
  return { perSecond: rows / seconds, bytes, childMb, grewMb: (highest - before) / 1_048_576 };
}

/** Of its whole life so far. */
function highestMb(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024;
  } catch {
    return 0; // It has ended meanwhile.
  }
}

async function bare(pg: PgPool, rows: number, folder: string): Promise<Side> {
  const startedAt = performance.now();
  const read = async function* (): AsyncGenerator<unknown[]> {
    for (let after = ''; ; ) {
      const { rows: page } = await pg.query<{ id: string; body: Record<string, unknown> }>(
        `SELECT id, body FROM jobfleet_documents.${collection} WHERE tenant = 'bench' AND id > $1 ORDER BY id LIMIT 1000`,
        [after],
      );
      for (const { id, body } of page)
        yield [id, body['name'], body['note'], body['amount'], body['active'], body['at']];
      if (page.length < 1_000) return;
      after = page.at(-1)?.id ?? '';
    }
  };
  const csv = stringify({
    header: true,
    columns: columns.map(({ field }) => field),
    bom: true,
    quoted: true,
    cast: { boolean: String },
    record_delimiter: '\r\n',
  });
  const path = join(folder, 'bare.csv');
  await pipeline(Readable.from(read()), csv, createWriteStream(path));
  const seconds = (performance.now() - startedAt) / 1_000;
  return { perSecond: rows / seconds, bytes: (await stat(path)).size };
}

/** Goals: at least 0.8 of the rate of the bare pipe; the child at most 200 MB, however many rows. */
export async function run(options: BenchOptions): Promise<Goal[]> {
  const rows = options.quick ? 50_000 : 1_000_000;
  const fail = (error: Error): void => {
    throw error;
  };
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-bench-export-'));
  const backend = await openBackend(`embedded:${join(folder, 'store')}`, { onError: fail });
  const pg = new PgPool({ connectionString: backend.leaseConnection.url, max: 2 });
  const handlerUrl = new URL(`../jobs/data-export/handler.${extension}`, import.meta.url).href;
  const pool = await openPool({
    types: [{ name: 'data-export', handlerUrl, policy: handler.job.policy, env: {} }],
    base: join(folder, 'children'),
    spares: 1,
    environment: process.env,
    log: { warn: () => undefined, error: () => undefined },
  });
  try {
    if (backend.sql === undefined) throw new Error('expected a store with SQL');
    const documents = postgresDocuments(backend.sql, mergeCollections([{ [collection]: {} }]));
    await fill(documents, rows);
    await pool.prepare();
    const rounds: Round[] = [];
    let childMb = 0;
    let grewMb = 0;
    for (let round = 0; round < (options.quick ? 3 : 5); round += 1) {
      const theirs = await bare(pg, rows, folder);
      const own = await ours(documents, pool, rows);
      childMb = Math.max(childMb, own.childMb);
      grewMb = Math.max(grewMb, own.grewMb);
      rounds.push({ ours: own.perSecond, theirs: theirs.perSecond });
    }
    const memory = `worker grew by ${grewMb.toFixed(0)} MB`;
    return [
      goal(
        { goal: 'M7', name: `${rows} rows as CSV, rows/s; ${memory}`, backend: 'embedded' },
        rounds,
        atLeast(0.8, 0.5),
      ),
      goal(
        { goal: 'M7', name: `the child's memory with ${rows} rows, MB, against its limit`, backend: 'embedded' },
        [{ ours: childMb, theirs: childLimitMb }],
        atMost(1, 1.25),
      ),
    ];
  } finally {
    await pool.close();
    await pg.end();
    await backend.close();
    await rm(folder, { recursive: true, force: true });
  }
}
