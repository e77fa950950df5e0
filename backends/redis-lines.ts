/** Every connection of a process to Redis beside its first: opened as wanted, kept track of, ended together. */
import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { listened, newClient, type RedisClient } from './redis-client.ts';
import type { RedisAddress } from './redis-url.ts';
import { writeTogether } from './redis-writes.ts';

/** How long a close may wait for a polite end before connections are cut. */
export const closeLimitMs = 5_000;

export interface Lines {
  /** A connection of its own whose commands wait for as long as it takes. */
  readonly open: () => RedisClient;
  /** The one that BullMQ's workers and event readers share and copy. */
  readonly patient: () => RedisClient;
  close(): Promise<void>;
}

export function openLines(first: RedisClient, address: RedisAddress, onError: (error: Error) => void): Lines {
  const opened = new Set<RedisClient>();
  const open = (): RedisClient => {
    const line = listened(
      newClient(address, 'wait', () => true),
      onError,
    );
    opened.add(line);
    line.on('end', () => opened.delete(line));
    return line;
  };
  const track = <C extends RedisClient>(copy: C): C => {
    opened.add(listened(writeTogether(copy), onError));
    return copy;
  };
  let patient: RedisClient | undefined;
  const sentinels = address.form === 'sentinel' ? watchPrimary(address, () => [first, ...opened]) : [];
  return {
    open,
    patient: () => (patient ??= trackCopies(open(), track)),
    close: async () => {
      for (const sentinel of sentinels) sentinel.disconnect();
      await Promise.all(Array.from(opened, hangUp));
    },
  };
}

/** BullMQ copies the connection it is given for each of its classes; those copies must be cut with the rest. */
function trackCopies(line: RedisClient, track: <C extends RedisClient>(copy: C) => C): RedisClient {
  if (line instanceof Redis) {
    const copy = line.duplicate.bind(line);
    line.duplicate = (override) => track(copy(override));
  } else {
    const copy = line.duplicate.bind(line);
    line.duplicate = (nodes, override) => track(copy(nodes, override));
  }
  return line;
}

/**
 * A primary that hangs keeps its connections, so nobody would notice its successor. One line to each Sentinel hears of
 * it and makes every connection ask again.
 */
function watchPrimary(address: RedisAddress, lines: () => readonly RedisClient[]): Redis[] {
  const { nodes, master, tls, sentinelUser, sentinelPassword } = address;
  return nodes.map((node) => {
    const sentinel = new Redis({
      ...node,
      connectTimeout: 5_000,
      keepAlive: 10_000,
      maxRetriesPerRequest: null,
      autoResubscribe: false,
      retryStrategy: (times) => Math.min(times * 500, 5_000),
      ...(sentinelUser === undefined ? {} : { username: sentinelUser }),
      ...(sentinelPassword === undefined ? {} : { password: sentinelPassword }),
      ...(tls ? { tls: {} } : {}),
    });
    // A lost Sentinel is not worth a word, nor what it was asked: the others are there, each connection asks all of them, and
    // it is asked again when it is back.
    sentinel.on('error', () => undefined);
    sentinel.on('message', (_channel: string, text: string) => {
      if (text.split(' ')[0] !== master) return;
      for (const line of lines()) if (line.status === 'ready') line.disconnect(true);
    });
    sentinel.on('ready', () => void sentinel.subscribe('+switch-master').catch(() => undefined));
    return sentinel;
  });
}

export async function hangUp(client: RedisClient): Promise<void> {
  if (client.status === 'ready') {
    const ended = new Promise<void>((resolve) => void client.once('end', () => resolve()));
    await orAfter(
      closeLimitMs,
      client.quit().then(() => ended),
    );
  }
  // Not on a connection that has ended: ioredis would keep the process alive for its close for 2 s more.
  if (client.status !== 'end') client.disconnect();
}

/** BullMQ waits for its connections to end politely, which one to a lost Redis never does. */
export async function orAfter(limitMs: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const limit = wait(limitMs, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([work, limit]);
  timer.abort();
}
