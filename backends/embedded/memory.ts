/**
 * `embedded:memory`: a database of its own per opener, on a server without any flush to disk, in the temporary folder.
 * A test run has one such server, named by JOBFLEET_TEST_STORE (tests/support/global-setup.ts); without that, each
 * opener has its own.
 */
import { randomBytes } from 'node:crypto';
import { readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Pool } from 'pg';
import { unless } from './errors.ts';
import { findProcess } from './pid-file.ts';
import { socketFolder } from './place.ts';
import { type EmbeddedStore, openEmbedded } from './server.ts';
import { stopServer } from './start.ts';

export interface MemoryStore {
  /** A connection string for `pg` on a fresh database. */
  readonly url: string;
  /** Drops the database, after five seconds whoever is still connected. May be called twice. */
  close(): Promise<void>;
}

export interface MemoryOptions {
  readonly onError: (error: Error) => void;
  /**
   * Makes the tables. Runs once per server, on the database all others are copied from, so it must not depend on the
   * opener. It ends its own connections; `pool` is ended here. Default: empty databases.
   */
  readonly prepare?: (pool: Pool) => Promise<void>;
  /** The server's directory, when it is shared and somebody else removes it. Default: JOBFLEET_TEST_STORE, else one of its own. */
  readonly dir?: string;
  /** As in `openEmbedded`. */
  readonly onStarting?: () => void;
}

const template = 'jobfleet_template';
/** `jobtempl` in ASCII: held while the template is made. */
const templateKey = BigInt('0x6a6f6274656d706c').toString();

/** Opens a fresh database. Throws `EmbeddedStoreError` like `openEmbedded`. */
export async function openMemory(options: MemoryOptions): Promise<MemoryStore> {
  const shared = options.dir ?? process.env['JOBFLEET_TEST_STORE'];
  const dir = shared ?? memoryDirectory();
  if (shared === undefined) await sweepMemory();
  const store = await openEmbedded(dir, {
    onError: options.onError,
    durable: false,
    ...(options.onStarting === undefined ? {} : { onStarting: options.onStarting }),
  });
  const leave = async (): Promise<void> => {
    await store.close();
    if (shared === undefined) await removeStore(dir);
  };
  try {
    const database = await createDatabase(store, options.prepare);
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      try {
        await withClient(store.url, (client) => drop(client, database));
      } finally {
        await leave();
      }
    };
    return {
      url: databaseUrl(store.url, database),
      close: () => {
        closing ??= close();
        return closing;
      },
    };
  } catch (error) {
    await leave();
    throw error;
  }
}

/** A new name in the temporary folder for a throw-away store of this process. */
export function memoryDirectory(): string {
  return join(tmpdir(), `jobfleet-memory-${process.pid}-${randomBytes(4).toString('hex')}`);
}

/** The same server, another database. Pure. */
export function databaseUrl(url: string, database: string): string {
  const named = new URL(url);
  named.pathname = `/${database}`;
  return named.href;
}

async function createDatabase(store: EmbeddedStore, prepare: MemoryOptions['prepare']): Promise<string> {
  const name = `jf_${randomBytes(6).toString('hex')}`;
  await withClient(store.url, async (client) => {
    if (prepare === undefined) {
      await client.query(`create database ${name}`);
      return;
    }
    await makeTemplate(client, store.url, prepare);
    await client.query(`create database ${name} template ${template}`);
  });
  return name;
}

/**
 * A connection that was ended has said goodbye, and the server may not have read that yet. Cut off now, it would report an
 * error when nobody listens any more; PostgreSQL waits five seconds by itself for the others to leave.
 */
async function drop(client: Client, database: string): Promise<void> {
  const statement = `drop database if exists ${database}`;
  const dropped = await unless(['55006'], () => client.query(statement));
  if (dropped === undefined) await client.query(`${statement} with (force)`);
}

/** Made under another name and renamed, so that a template is there whole or not at all. */
async function makeTemplate(client: Client, url: string, prepare: (pool: Pool) => Promise<void>): Promise<void> {
  await client.query(`select pg_advisory_lock(${templateKey})`);
  const { rowCount } = await client.query('select from pg_database where datname = $1', [template]);
  if (rowCount === 0) {
    const unfinished = `${template}_new`;
    await client.query(`drop database if exists ${unfinished} with (force)`);
    await client.query(`create database ${unfinished}`);
    const pool = new Pool({ connectionString: databaseUrl(url, unfinished) });
    try {
      await prepare(pool);
    } finally {
      await pool.end();
    }
    await client.query(`alter database ${unfinished} rename to ${template}`);
    // A database can be copied only while nobody is connected to it.
    await client.query(`alter database ${template} allow_connections false`);
  }
  await client.query(`select pg_advisory_unlock(${templateKey})`);
}

async function withClient(url: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** Removes the store at `dir`, where it leads and its socket's folder. Its server must be stopped. */
export async function removeStore(dir: string): Promise<void> {
  const dataDir = await unless(['ENOENT'], () => realpath(dir));
  if (dataDir === undefined) return;
  if (socketFolder(dataDir) !== dataDir) await rm(socketFolder(dataDir), { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
  await rm(dir, { force: true });
}

/** Stops and removes the throw-away stores of processes that were killed. */
export async function sweepMemory(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const found = /^jobfleet-memory-(\d+)-[0-9a-f]{8}(\.new-\d+-[0-9a-f]{8})?$/.exec(name);
    if (found === null || (await findProcess(Number(found[1]))) !== undefined) continue;
    const dir = join(tmpdir(), name);
    const dataDir = await unless(['ENOENT', 'EACCES'], () => realpath(dir));
    if (dataDir === undefined) continue;
    // Of another user: not ours to remove.
    await unless(['EPERM', 'EACCES'], async () => {
      await stopServer(dataDir);
      await removeStore(dir);
    });
  }
}
