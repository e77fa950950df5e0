/**
 * The embedded store: a PostgreSQL of our own in one directory, started by the first process that needs it and stopped
 * by the last. Nothing outside this folder knows more of it than its URL.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { type Binaries, findBinaries } from './binaries.ts';
import { connect } from './connect.ts';
import { createStore } from './create.ts';
import { EmbeddedStoreError } from './errors.ts';
import { findPlace, prepareSocketFolder, socketUrl } from './place.ts';
import { announce, withdraw } from './presence.ts';
import { clearTheWay, logFileOf, type Started, serverPidOf, startServer, stopServer } from './start.ts';
import { serverUser } from './user.ts';

export interface EmbeddedStore {
  /** A connection string for `pg` (and `psql`) on the store's Unix socket; the same as long as the store is open. */
  readonly url: string;
  /** The data directory: where `dir` leads. */
  readonly dir: string;
  /** Number of the server's process; undefined when this process cannot see it (another container's). Changes when it is started anew. */
  readonly serverPid: number | undefined;
  /** Leaves. The last process out stops the server and waits for its end, up to a minute. May be called twice. */
  close(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Hears of a server that ended unasked, and of what keeps it from starting again. */
  readonly onError: (error: Error) => void;
  /** Default true. False for throw-away stores: nothing is flushed to disk. */
  readonly durable?: boolean;
}

/** How long a store may take to open: recovery after a crash, a killed server's backends that still compute. */
const openLimitMs = 60_000;

interface Entry {
  readonly client: Client;
  readonly dataDir: string;
  readonly socketDir: string;
  readonly serverPid: number | undefined;
}

interface Attempt {
  readonly dir: string;
  readonly durable: boolean;
  readonly deadline: number;
  /** A running process never makes a store anew: it would be an empty one, unnoticed. */
  readonly mayCreate: boolean;
  readonly abandoned: () => boolean;
}

/**
 * Opens the store at `dir`, making it when there is none: attaches to the running server or starts one. While open, a
 * server that ends unasked is started again. Throws `EmbeddedStoreError` with cause and fix.
 */
export async function openEmbedded(dir: string, options: EmbeddedOptions): Promise<EmbeddedStore> {
  if (process.platform === 'win32') {
    throw new EmbeddedStoreError(
      'The embedded store needs Unix sockets and does not run on Windows: use WSL, or set QUEUE_URL to postgres:// or redis://.',
    );
  }
  const durable = options.durable ?? true;
  let closing: Promise<void> | undefined;
  const attempt = (mayCreate: boolean): Attempt => ({
    dir,
    durable,
    deadline: Date.now() + openLimitMs,
    mayCreate,
    abandoned: () => closing !== undefined,
  });

  let entry = await enter(attempt(true));
  let healing: Promise<void> | undefined;
  const first = entry;
  const guard = (client: Client): void => {
    client.once('end', () => {
      if (closing === undefined) healing = heal();
    });
  };

  const heal = async (): Promise<void> => {
    options.onError(
      new EmbeddedStoreError(`The server of the embedded store in ${first.dataDir} ended; starting it again.`),
    );
    let told = '';
    for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 5_000)) {
      try {
        const next = await enter(attempt(false));
        entry = next;
        guard(next.client);
        return;
      } catch (error) {
        const failure = error instanceof Error ? error : new Error(String(error));
        if (closing !== undefined) return;
        if (failure.message !== told) options.onError(failure);
        told = failure.message;
        await sleep(waitMs);
      }
    }
  };

  const leaveOnce = async (): Promise<void> => {
    await healing;
    await leave(entry);
  };

  guard(entry.client);
  return {
    url: socketUrl(first.socketDir),
    dir: first.dataDir,
    get serverPid() {
      return entry.serverPid;
    },
    close: () => {
      closing ??= leaveOnce();
      return closing;
    },
  };
}

/** Connects and announces itself, making the store and starting its server as needed. */
async function enter(attempt: Attempt): Promise<Entry> {
  const user = serverUser();
  let binaries: Binaries | undefined;
  let started: Started | undefined;
  let last = 'it did not answer';
  while (!attempt.abandoned()) {
    const place = await findPlace(attempt.dir, user);
    if (place.store === undefined) {
      if (!attempt.mayCreate)
        throw new EmbeddedStoreError(
          `The embedded store in ${place.dir} is gone: restart this process for a fresh one.`,
        );
      binaries ??= await findBinaries({ user });
      await createStore(place, binaries, attempt.durable);
      continue;
    }
    const { dataDir, major } = place.store;
    const home = { dataDir, socketDir: await prepareSocketFolder(dataDir, user), user, durable: attempt.durable };
    const reached = await connect(home.socketDir, 'jobfleet presence');
    if (reached.state === 'connected') {
      if (await announce(reached.client, attempt.deadline)) {
        return { client: reached.client, dataDir, socketDir: home.socketDir, serverPid: await serverPidOf(dataDir) };
      }
      await reached.client.end();
    } else if (reached.state === 'absent') {
      const ended = started?.ended();
      if (ended !== undefined && !ended.again) throw notStarted(dataDir, ended.reason);
      last = ended?.reason ?? last;
      if (started === undefined || ended !== undefined) {
        started = undefined;
        if ((await clearTheWay(home)) === 'start') {
          binaries = binaries?.major === major ? binaries : await findBinaries({ user, major });
          started = await startServer(home, binaries);
        }
      }
    }
    if (Date.now() > attempt.deadline) throw notStarted(dataDir, `${last} within ${openLimitMs / 1000} s`);
    await sleep(50);
  }
  throw new EmbeddedStoreError(`The embedded store in ${attempt.dir} was closed while it was being opened.`);
}

function notStarted(dataDir: string, reason: string): EmbeddedStoreError {
  return new EmbeddedStoreError(
    `The server of the embedded store in ${dataDir} did not start (${reason}): see ${logFileOf(dataDir)}.`,
  );
}

/** The last one out stops the server. A connection already lost has nothing to give back. */
async function leave({ client, dataDir }: Entry): Promise<void> {
  let last = false;
  try {
    last = await withdraw(client);
  } catch {
    // The server is gone or stopping: whoever stops it, or the next start, does what is left.
    return;
  }
  if (last) await stopServer(dataDir);
  await client.end();
}
