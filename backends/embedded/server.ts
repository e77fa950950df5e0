/**
 * The embedded store: a PostgreSQL of our own in one directory, started by the first process that needs it and stopped
 * by the last. Nothing outside this folder knows more of it than its URL.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { sharedFolder } from './binaries.ts';
import { type Attempt, type Entry, enter, leave } from './enter.ts';
import { EmbeddedStoreError } from './errors.ts';
import { socketUrl } from './place.ts';

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
  /** Where a root process keeps data that `nobody` cannot reach at `dir`. Default `/var/lib/jobfleet`. */
  readonly sharedFolder?: string;
  /** Called once, when the server (or the making of its store) has been started, or was found running: only waiting is left. */
  readonly onStarting?: () => void;
}

/** Between attempts to start a server again; doubled up to the longest. */
const shortestWaitMs = 100;
const longestWaitMs = 5_000;

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
  let closing: Promise<void> | undefined;
  const attempt: Attempt = {
    dir,
    durable: options.durable ?? true,
    sharedFolder: options.sharedFolder ?? sharedFolder,
    abandoned: () => closing !== undefined,
  };
  let isTold = false;
  const onStarting = (): void => {
    if (!isTold) options.onStarting?.();
    isTold = true;
  };
  const first = await enter({ ...attempt, onStarting });
  let current = first;
  let entering: Promise<void> = Promise.resolve();

  const stayIn = (entry: Entry): void => {
    current = entry;
    void entry.ended.then(() => {
      if (closing !== undefined) return;
      entering = enterAgain({ ...attempt, expects: first.dataDir }, options.onError).then(
        (next) => next && stayIn(next),
      );
    });
  };
  stayIn(first);

  const leaveOnce = async (): Promise<void> => {
    // A server that is being started at this moment is entered first, so that it can be left.
    await entering;
    await leave(current);
  };
  return {
    url: socketUrl(first.socketDir),
    dir: first.dataDir,
    get serverPid() {
      return current.serverPid;
    },
    close: () => {
      closing ??= leaveOnce();
      return closing;
    },
  };
}

/** Attaches or starts again, however long that takes. Undefined when the store was closed meanwhile. */
async function enterAgain(attempt: Attempt, onError: (error: Error) => void): Promise<Entry | undefined> {
  onError(new EmbeddedStoreError(`The server of the embedded store in ${attempt.dir} ended; starting it again.`));
  let told = '';
  for (let waitMs = shortestWaitMs; !attempt.abandoned(); waitMs = Math.min(waitMs * 2, longestWaitMs)) {
    try {
      return await enter(attempt);
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error));
      if (!attempt.abandoned() && failure.message !== told) onError(failure);
      told = failure.message;
    }
    await sleep(waitMs);
  }
  return undefined;
}
