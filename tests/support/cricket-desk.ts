/**
 * The three cricket types over one store of documents, without a queue: what a job enqueues waits here until it is run, once a
 * key, as the fleet does it. A job may be made to die at its n-th write.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Handler } from '../../jobs/define.ts';
import matchAggregation from '../../jobs/match-aggregation/handler.ts';
import rankingUpdate from '../../jobs/ranking-update/handler.ts';
import statsCalculation from '../../jobs/stats-calculation/handler.ts';
import type { Documents, TenantDocuments } from '../../runtime/documents.ts';
import { mergeCollections } from '../../runtime/documents.ts';
import { memoryDocuments } from '../../runtime/documents-memory.ts';
import { openFolderStore } from '../../runtime/object-store-folder.ts';
import { type JobRun, runJob } from '../../workers/testing.ts';
import { memoryRecords } from '../../workers/testing-records.ts';
import { makeZip } from './zip.ts';

const handlers: Readonly<Record<string, Handler>> = {
  'match-aggregation': matchAggregation,
  'ranking-update': rankingUpdate,
  'stats-calculation': statsCalculation,
};

interface Waiting {
  readonly id: string;
  readonly type: string;
  readonly payload: unknown;
}

export interface Desk {
  readonly documents: TenantDocuments;
  /** Files by name as one zip, or one file alone. Dies at the write `dieAt` (1 = the first) when given, and is run again until it is done. */
  ingest(files: Readonly<Record<string, string>>, dieAt?: number): Promise<unknown>;
  /** A job that dies at a write and is never tried again. */
  lose(files: Readonly<Record<string, string>>, dieAt: number): Promise<void>;
  run(type: string, payload: unknown, dieAt?: number): Promise<JobRun>;
  /** Runs what was enqueued, first come first served or as `pick` says. Answers the types, in order. */
  follow(options?: {
    readonly pick?: (count: number) => number;
    readonly dieAt?: () => number | undefined;
  }): Promise<string[]>;
  /** What readers see: rows of the current tables without labels and versions, by table. */
  tables(heads: 'ranking_tables' | 'stats_tables', rowsIn: string): Promise<Record<string, unknown[]>>;
  close(): Promise<void>;
}

export async function openDesk(): Promise<Desk> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-cricket-'));
  const objects = await openFolderStore(join(folder, 'objects'));
  const store = memoryDocuments(mergeCollections(Object.values(handlers).map(({ job }) => job.collections)));
  const documents = store.of('-');
  const waiting: Waiting[] = [];
  const known = new Set<string>();
  let jobs = 0;

  const runUntilDone = async (
    { id, type, payload }: Waiting,
    dieAt: number | undefined,
    tries = Number.POSITIVE_INFINITY,
  ): Promise<JobRun> => {
    const handler = handlers[type];
    if (handler === undefined) throw new Error(`no handler of ${type}`);
    const records = memoryRecords();
    for (let attempt = 1; ; attempt += 1) {
      const dying = attempt === 1 && dieAt !== undefined ? dyingAt(store, dieAt) : store;
      const env = type === 'ranking-update' ? { RANKING_MIN_MATCHES: '1' } : {};
      const run = await runJob(handler, payload, { id, objects, records, attempt, env, documents: dying });
      await run.close();
      for (const more of run.enqueued) {
        if (known.has(more.key)) continue;
        known.add(more.key);
        waiting.push({ id: `${more.type}_${number()}`, type: more.type, payload: more.payload });
      }
      if (run.error instanceof Death && attempt < tries) continue;
      return run;
    }
  };
  const number = (): string => String((jobs += 1)).padStart(6, '0');
  const upload = async (files: Readonly<Record<string, string>>): Promise<string> => {
    const names = Object.keys(files);
    const [only = ''] = names;
    const isOne = names.length === 1;
    const name = isOne ? only : 'matches.zip';
    const bytes = isOne
      ? Buffer.from(files[only] ?? '')
      : makeZip(names.map((one) => ({ name: one, bytes: files[one] ?? '' })));
    const key = `t/-/uploads/${number()}/${name}`;
    await objects.put(key, Readable.from([bytes]), { contentType: 'application/octet-stream' });
    return `object:${key}`;
  };
  const desk: Desk = {
    documents,
    async ingest(files, dieAt) {
      const done = await desk.run('match-aggregation', { source: await upload(files) }, dieAt);
      if (done.error !== undefined) throw done.error;
      return done.result;
    },
    async lose(files, dieAt) {
      const payload = { source: await upload(files) };
      await runUntilDone({ id: `match-aggregation_${number()}`, type: 'match-aggregation', payload }, dieAt, 1);
    },
    run: (type, payload, dieAt) => runUntilDone({ id: `${type}_${number()}`, type, payload }, dieAt),
    async follow({ pick = () => 0, dieAt = () => undefined } = {}) {
      const types: string[] = [];
      while (waiting.length > 0) {
        const [next] = waiting.splice(pick(waiting.length), 1);
        if (next === undefined) throw new Error('pick chose nothing');
        const { error } = await runUntilDone(next, dieAt());
        if (error !== undefined) throw error;
        types.push(next.type);
      }
      return types;
    },
    async tables(heads, rowsIn) {
      const tables: Record<string, unknown[]> = {};
      for (const { _id, label } of (await documents.page(heads, { limit: 1_000 })).items) {
        const filter = { table: _id, label: String(label) };
        const { items } = await documents.page(rowsIn, { filter, limit: 1_000 });
        tables[_id] = items.map(({ _id: _row, _version, label: _label, inputs: _inputs, ...row }) => row);
      }
      return tables;
    },
    async close() {
      await objects.close();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return desk;
}

/** The process is gone: nothing after it happens. */
class Death extends Error {
  override readonly name = 'Death';
}

/** The store until its n-th write, which half the time still happens. */
function dyingAt(store: Documents, dieAt: number): Documents {
  let writes = 0;
  const dying = async <T>(write: () => Promise<T>): Promise<T> => {
    writes += 1;
    if (writes > dieAt) throw new Death('dead');
    if (writes < dieAt) return write();
    if (dieAt % 2 === 0) await write();
    throw new Death('dead');
  };
  return {
    ...store,
    of: (tenant) => {
      const documents = store.of(tenant);
      return {
        ...documents,
        put: (...call) => dying(() => documents.put(...call)),
        putMany: (...call) => dying(() => documents.putMany(...call)),
        remove: (...call) => dying(() => documents.remove(...call)),
        removePrefix: (...call) => dying(() => documents.removePrefix(...call)),
      };
    },
  };
}
