/**
 * Redis servers for tests that break them: one alone, Sentinel sets and Clusters on random ports of 127.0.0.1, each with
 * a folder of its own. Ended by process id, at the latest when this process exits. Needs `redis-server` on PATH.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Certificate } from './certificate.ts';

export interface RedisNode {
  readonly port: number;
  /** Of the running process; for SIGSTOP and SIGCONT. */
  pid(): number;
  /** One command over a connection of its own. */
  command(name: string, ...args: string[]): Promise<unknown>;
  /** Resolves when the process has ended. Default: SIGKILL. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** The same port, folder and settings again; resolves when it answers. */
  start(): Promise<void>;
}

export interface NodeSettings {
  /** `name value` lines of the configuration, as `--name value` arguments. */
  readonly settings?: Readonly<Record<string, string>>;
  /** TLS only, no plain port. */
  readonly certificate?: Certificate;
  /** Given to `command`, and to the other nodes of a set. */
  readonly password?: string;
}

export interface RedisServer extends RedisNode {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

const defaults = {
  databases: '32',
  save: '',
  appendonly: 'no',
  'maxmemory-policy': 'noeviction',
  'repl-diskless-sync-delay': '0',
};
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  return address.port;
}

/** A folder that also servers of another user may enter. */
export async function serverFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'jobfleet-redis-'));
  await chmod(dir, 0o755);
  return dir;
}

/** Calls `check` every 50 ms until it answers true; its last error, or words, after `timeoutMs`. */
export async function eventually(what: string, check: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let cause: unknown;
    try {
      if (await check()) return;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause });
    await wait(50);
  }
}

/** One server, not persistent unless `settings` say so. */
export async function startRedis(options: NodeSettings = {}): Promise<RedisServer> {
  const dir = await serverFolder();
  const node = await startNode(dir, await freePort(), options);
  const user = options.password === undefined ? '' : `:${options.password}@`;
  const scheme = options.certificate === undefined ? 'redis' : 'rediss';
  return {
    ...node,
    url: `${scheme}://${user}127.0.0.1:${node.port}`,
    stop: async () => {
      await node.kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** A process on `port` in `dir`. `first` are arguments before all others: a configuration file, `--sentinel`. */
export async function startNode(
  dir: string,
  port: number,
  options: NodeSettings = {},
  first: readonly string[] = [],
): Promise<RedisNode> {
  const { certificate, password } = options;
  const settings: Record<string, string> = {
    bind: '127.0.0.1',
    dir,
    ...(certificate === undefined ? { port: String(port) } : tlsSettings(port, certificate)),
    ...(password === undefined ? {} : { requirepass: password, masterauth: password }),
    ...(first.length > 0 ? {} : defaults),
    ...options.settings,
  };
  const args = [...first, ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, ...value.split(' ')])];
  let child: ChildProcess | undefined;
  const node: RedisNode = {
    port,
    pid: () => {
      if (child?.pid === undefined) throw new Error(`no Redis runs on port ${port}`);
      return child.pid;
    },
    command: async (name, ...rest) => {
      const client = new Redis({
        port,
        host: '127.0.0.1',
        lazyConnect: true,
        retryStrategy: () => null,
        connectTimeout: 2_000,
        commandTimeout: 5_000,
        ...(certificate === undefined ? {} : { tls: { ca: certificate.ca } }),
        ...(password === undefined ? {} : { password }),
      });
      client.on('error', () => undefined);
      try {
        await client.connect();
        return await client.call(name, ...rest);
      } finally {
        client.disconnect();
      }
    },
    kill: async (signal = 'SIGKILL') => {
      const ending = child;
      if (ending === undefined) return;
      child = undefined;
      const ended = once(ending, 'exit');
      ending.kill(signal);
      if (ending.exitCode === null && ending.signalCode === null) await ended;
    },
    start: async () => {
      const started = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
      child = started;
      running.add(started);
      started.once('exit', () => running.delete(started));
      await listening(started);
    },
  };
  await node.start();
  return node;
}

function tlsSettings(port: number, { certFile, keyFile, caFile }: Certificate): Record<string, string> {
  return {
    port: '0',
    'tls-port': String(port),
    'tls-cert-file': certFile,
    'tls-key-file': keyFile,
    'tls-ca-cert-file': caFile,
    'tls-auth-clients': 'no',
    'tls-replication': 'yes',
  };
}

/** Until it says so on its log; its last lines when it ends instead. */
async function listening(server: ChildProcess): Promise<void> {
  let log = '';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${log.slice(-500)}`)));
    server.stdout?.on('data', (text: Buffer) => {
      // Read to the end of its life, or the pipe fills; kept until it listens.
      if (log.length < 20_000) log += text.toString();
      if (/Ready to accept connections|Sentinel ID is/.test(log)) resolve();
    });
  });
}
