/** Servers of a bench's own, and what they cost: CPU microseconds since their start. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { openEmbedded } from '../backends/embedded/server.ts';
import { openPool } from '../backends/postgres-pool.ts';
import { migrate } from '../backends/postgres-schema.ts';
import type { Goal } from './goal.ts';

export interface Server {
  readonly name: 'redis' | 'postgres' | 'embedded';
  /** A QUEUE_URL. */
  readonly url: string;
  /** CPU of the server so far, in microseconds. */
  readonly cpuMicros: () => number;
  /** Memory that Redis says it uses; NaN elsewhere. */
  readonly usedBytes: () => Promise<number>;
  readonly close: () => Promise<void>;
}

/** User and system time of a process and its children's, in µs, from /proc (100 ticks a second on Linux). */
function processMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) * 10_000;
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false; // it ended between the two reads
      }
    });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

export async function startRedis(): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-bench-redis-'));
  const port = await freePort();
  const child: ChildProcess = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const { stdout, pid } = child;
  if (stdout === null || pid === undefined)
    throw new Error('redis-server did not start; install it (apt-get install redis-server)');
  for await (const chunk of stdout) if (String(chunk).includes('Ready to accept connections')) break;
  const client = new Redis(port);
  return {
    name: 'redis',
    url: `redis://127.0.0.1:${port}/0`,
    cpuMicros: () => processMicros(pid),
    usedBytes: async () => Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1]),
    close: async () => {
      client.disconnect();
      child.kill('SIGTERM');
      await once(child, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The package's own PostgreSQL, durable as it comes. `postgres` and `embedded` differ only in how the store is opened. */
export async function startPostgres(): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-bench-postgres-'));
  const server = await openEmbedded(join(folder, 'queue'), {
    onError: (error) => process.stderr.write(`${error.message}\n`),
  });
  const { serverPid } = server;
  if (serverPid === undefined) throw new Error('the PostgreSQL of the bench cannot be seen from this process');
  // The schemas of both sides, so that either may be opened first.
  const pool = openPool(server.url, { max: 1, onError: (error) => process.stderr.write(`${error.message}\n`) });
  await migrate(pool);
  await pool.end();
  return {
    name: 'postgres',
    url: server.url,
    usedBytes: async () => Number.NaN,
    cpuMicros: () => [serverPid, ...childrenOf(serverPid)].reduce((sum, pid) => sum + processMicros(pid), 0),
    close: async () => {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** All stores, or the one of --backend. */
function startsOf(only: string | undefined): (() => Promise<Server>)[] {
  const starts = { redis: startRedis, postgres: startPostgres };
  if (only === undefined) return Object.values(starts);
  if (only !== 'redis' && only !== 'postgres') throw new Error(`--backend takes redis or postgres, got ${only}`);
  return [starts[only]];
}

/** The stores a bench runs on, one after the other: what `measure` finds on each. */
export async function onEachServer(
  only: string | undefined,
  measure: (server: Server) => Promise<readonly Goal[]>,
): Promise<Goal[]> {
  const goals: Goal[] = [];
  for (const start of startsOf(only)) {
    const server = await start();
    try {
      goals.push(...(await measure(server)));
    } finally {
      await server.close();
    }
  }
  return goals;
}
