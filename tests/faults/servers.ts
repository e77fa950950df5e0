/** The stores of a run, each a server of its own that can be killed, frozen and started again. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { appendFile, chown, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { type BinarySearch, findBinaries } from '../../backends/embedded/binaries.ts';
import { serverUser, spawnAs } from '../../backends/embedded/user.ts';
import { eventually, freePort, startRedis } from '../support/redis-servers.ts';
import type { StockAddress } from './types.ts';

export const storeNames = ['redis', 'postgres', 'embedded'] as const;
export type StoreName = (typeof storeNames)[number];

export interface StoreServer {
  readonly url: string;
  readonly stock: StockAddress;
  /** SIGKILL of every process of the server; in a Cluster of the node that serves `key`. */
  kill(key?: string): Promise<void>;
  /** After `kill`; resolves when it answers. The embedded store starts itself: resolves when somebody has. */
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT of every process of the server. */
  freeze(): void;
  thaw(): void;
  /** One Redis command or one SQL statement, over a connection of its own. */
  command(...words: readonly string[]): Promise<unknown>;
  close(): Promise<void>;
}

export function startServer(store: StoreName, folder: string): Promise<StoreServer> {
  switch (store) {
    case 'redis':
      return redisServer();
    case 'postgres':
      return postgresServer(join(folder, 'postgres'));
    case 'embedded':
      return embeddedServer(join(folder, 'queue'));
  }
}

/** Name and version of what serves, for the report. */
export async function versionOf(store: StoreName, server: StoreServer): Promise<Readonly<Record<string, string>>> {
  switch (store) {
    case 'redis':
      return { Redis: /redis_version:(\S+)/.exec(String(await server.command('INFO', 'server')))?.[1] ?? '?' };
    case 'postgres': {
      const [row] = (await server.command('SHOW server_version')) as readonly { readonly server_version: string }[];
      return { PostgreSQL: row?.server_version ?? '?' };
    }
    case 'embedded': {
      const { bin } = await findBinaries({ user: serverUser() });
      const { stdout } = await promisify(execFile)(join(bin, 'postgres'), ['--version']);
      return { 'PostgreSQL (embedded)': stdout.trim().split(' ').at(-1) ?? '?' };
    }
  }
}

/** Persistent as the documentation asks: append-only file, flushed each second. */
export async function redisServer(settings: Readonly<Record<string, string>> = {}): Promise<StoreServer> {
  const server = await startRedis({ settings: { appendonly: 'yes', appendfsync: 'everysec', ...settings } });
  return {
    url: `${server.url}/0`,
    stock: { kind: 'redis', host: '127.0.0.1', port: server.port },
    kill: () => server.kill(),
    start: () => server.start(),
    freeze: () => void process.kill(server.pid(), 'SIGSTOP'),
    thaw: () => void process.kill(server.pid(), 'SIGCONT'),
    command: (name = 'PING', ...rest) => server.command(name, ...rest),
    close: () => server.stop(),
  };
}

const settings = (port: number): string => `
listen_addresses = '127.0.0.1'
port = ${port}
unix_socket_directories = ''
max_connections = 200
shared_buffers = 64MB
`;

/**
 * A PostgreSQL nobody of ours looks after: whoever kills it starts it again. `settings`: more lines of its configuration;
 * `search`: where its programs are, default those of the package.
 */
export async function postgresServer(
  dir: string,
  {
    settings: more = '',
    search = {},
  }: { readonly settings?: string; readonly search?: Omit<BinarySearch, 'user'> } = {},
): Promise<StoreServer> {
  const user = serverUser();
  const { bin } = await findBinaries({ user, ...search });
  const port = await freePort();
  await mkdir(dir, { mode: 0o700 });
  if (user.changed) await chown(dir, user.uid, user.gid);
  const args = ['-D', dir, '-U', 'postgres', '--auth=trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
  await promisify(execFile)(join(bin, 'initdb'), args, spawnAs(user));
  await appendFile(join(dir, 'postgresql.conf'), settings(port) + more);
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  let child: ChildProcess | undefined;
  const hasEnded = (one: ChildProcess) => one.exitCode !== null || one.signalCode !== null;
  process.on('exit', () => pids().forEach((pid) => signal(pid, 'SIGKILL')));
  const pids = () => (child?.pid === undefined || hasEnded(child) ? [] : [child.pid, ...childrenOf(child.pid)]);
  const server: StoreServer = {
    url,
    stock: { kind: 'postgres', url },
    async kill() {
      const ending = child;
      if (ending === undefined) return;
      const ended = hasEnded(ending) ? undefined : once(ending, 'exit');
      for (const pid of pids()) signal(pid, 'SIGKILL');
      child = undefined;
      await ended;
    },
    async start() {
      await eventually('PostgreSQL answers', () => {
        // A child forked while the old one was killed outlives it for a moment, and until then a new one refuses to start.
        if (child === undefined || hasEnded(child))
          child = spawn(join(bin, 'postgres'), ['-D', dir], { ...spawnAs(user), stdio: 'ignore' });
        return answers(url);
      });
    },
    freeze: () => pids().forEach((pid) => signal(pid, 'SIGSTOP')),
    thaw: () => pids().forEach((pid) => signal(pid, 'SIGCONT')),
    command: (...words) => ask(url, words.join(' ')),
    close: () => server.kill(),
  };
  await server.start();
  return server;
}

/** Nothing to start: the first process that opens it does. The peer gets a PostgreSQL of its own. */
async function embeddedServer(dir: string): Promise<StoreServer> {
  const url = `embedded:${dir}`;
  const postmaster = async () => Number((await readFile(join(dir, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  const pids = async () => {
    const pid = await postmaster();
    return [pid, ...childrenOf(pid)];
  };
  let frozen: number[] = [];
  return {
    url,
    stock: { kind: 'postgres', url: '' },
    async kill() {
      for (const pid of await pids()) signal(pid, 'SIGKILL');
    },
    start: () => eventually('the embedded store runs again', async () => isAlive(await postmaster()), 60_000),
    freeze: () => {
      frozen = embeddedPids(dir);
      for (const pid of frozen) signal(pid, 'SIGSTOP');
    },
    thaw: () => frozen.forEach((pid) => signal(pid, 'SIGCONT')),
    command: () => Promise.reject(new Error('the embedded store is asked through its own processes')),
    // Its last process stops it; what a killed one left behind ends here.
    close: async () => {
      await wait(500);
      for (const pid of embeddedPids(dir)) signal(pid, 'SIGKILL');
    },
  };
}

/** The postmaster of a data directory and its helpers; none when it does not run. */
export function embeddedPids(dir: string): number[] {
  let text = '';
  try {
    text = readFileSync(join(dir, 'postmaster.pid'), 'utf8');
  } catch {
    return []; // no server, no file
  }
  const pid = Number(text.split('\n')[0]);
  return Number.isInteger(pid) && isAlive(pid) && commandOf(pid).includes(dir) ? [pid, ...childrenOf(pid)] : [];
}

export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it ended
  }
}

export function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

const childrenOf = (parent: number): number[] => allPids().filter((pid) => parentOf(pid) === parent);

export function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined; // it ended meanwhile
  }
}

/** Gone already is fine: helpers end with their server. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function answers(url: string): Promise<boolean> {
  await ask(url, 'SELECT 1');
  return true;
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}
