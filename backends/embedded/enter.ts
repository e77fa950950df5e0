/** One process's way into a store, and out of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { type Binaries, findBinaries } from './binaries.ts';
import { connect } from './connect.ts';
import { createStore } from './create.ts';
import { EmbeddedStoreError } from './errors.ts';
import { findPlace, type Place, prepareSocketFolder } from './place.ts';
import { announce, withdraw } from './presence.ts';
import {
  clearTheWay,
  logFileOf,
  type ServerHome,
  type Started,
  serverPidOf,
  startServer,
  stopServer,
} from './start.ts';
import { serverUser } from './user.ts';

/** A process that is in: announced, on a server that answers. */
export interface Entry {
  readonly client: Client;
  /** Resolves when the connection ends, asked or not. */
  readonly ended: Promise<void>;
  readonly dataDir: string;
  readonly socketDir: string;
  readonly serverPid: number | undefined;
}

export interface Attempt {
  readonly dir: string;
  readonly durable: boolean;
  /** Where data goes that the server's user cannot reach at `dir`. */
  readonly sharedFolder: string;
  /** The data directory this process had open. It never makes or takes another one unnoticed: that would be an empty store. */
  readonly expects?: string;
  /** Asked until a server was started; one that was started is entered, so that somebody stops it. */
  readonly abandoned: () => boolean;
  /** A program was started, or the server was found running. May be called more than once. */
  readonly onStarting?: (() => void) | undefined;
}

/** How long a store may take to open: recovery after a crash, a killed server's backends that still compute. */
const openLimitMs = 60_000;
const pollMs = 50;
/** A start that failed because backends of a killed server still run is tried again after this long. */
const againMs = 250;

/** Connects and announces itself, making the store and starting its server as needed. */
export async function enter(attempt: Attempt): Promise<Entry> {
  const user = serverUser();
  const deadline = Date.now() + openLimitMs;
  let starter: Starter | undefined;
  while (starter?.started !== undefined || !attempt.abandoned()) {
    if (Date.now() > deadline) throw notStarted(attempt.dir, starter?.last ?? `no answer in ${openLimitMs / 1000} s`);
    const place = await findPlace(attempt.dir, user, attempt.sharedFolder);
    refuseOther(place, attempt);
    if (place.store === undefined) {
      await createStore(place, await findBinaries({ user, sharedFolder: attempt.sharedFolder }), attempt);
      continue;
    }
    const { dataDir, major } = place.store;
    const socketDir = await prepareSocketFolder(dataDir, user);
    starter ??= { home: { dataDir, socketDir, user, durable: attempt.durable }, major, attempt };
    const reached = await connect(socketDir, 'jobfleet presence');
    if (reached.state === 'connected') {
      attempt.onStarting?.();
      const { client, ended } = reached;
      if (await announce(client, deadline)) {
        return { client, ended, dataDir, socketDir, serverPid: await serverPidOf(dataDir) };
      }
      await client.end();
    }
    const waitMs = reached.state === 'absent' ? await keepStarting(starter) : pollMs;
    await sleep(waitMs);
  }
  throw new EmbeddedStoreError(`The embedded store in ${attempt.dir} was closed while it was being opened.`);
}

/** What one attempt has started so far. */
interface Starter {
  readonly home: ServerHome;
  readonly major: number;
  readonly attempt: Attempt;
  binaries?: Binaries;
  started?: Started | undefined;
  last?: string;
}

/** Nobody listens: starts a server unless one is on its way. Answers how long to wait before looking again. */
async function keepStarting(starter: Starter): Promise<number> {
  const { home, major, attempt } = starter;
  if (starter.started !== undefined) {
    const ended = starter.started.ended();
    if (ended === undefined) return pollMs;
    if (!ended.again) throw notStarted(home.dataDir, ended.reason);
    starter.last = ended.reason;
    starter.started = undefined;
    return againMs;
  }
  if ((await clearTheWay(home)) === 'wait') return pollMs;
  starter.binaries ??= await findBinaries({ user: home.user, major, sharedFolder: attempt.sharedFolder });
  starter.started = await startServer(home, starter.binaries);
  attempt.onStarting?.();
  return pollMs;
}

function refuseOther(place: Place, { expects }: Attempt): void {
  if (expects === undefined || place.store?.dataDir === expects) return;
  throw new EmbeddedStoreError(
    `The embedded store in ${expects} is gone: put it back, or restart this process for a fresh one.`,
  );
}

function notStarted(dataDir: string, reason: string): EmbeddedStoreError {
  return new EmbeddedStoreError(
    `The server of the embedded store in ${dataDir} did not start (${reason}): see ${logFileOf(dataDir)}.`,
  );
}

/** Leaves. The last one out stops the server and waits for its end. */
export async function leave({ client, socketDir, dataDir }: Entry): Promise<void> {
  const deadline = Date.now() + openLimitMs;
  let ours: Client | undefined = client;
  while (Date.now() < deadline) {
    const last = ours && (await withdraw(ours).catch(() => undefined));
    if (last) await stopServer(dataDir);
    if (last !== undefined) return await ours?.end();
    // Our connection is lost. Its server may live or recover all the same, and we may have been its last user.
    const reached = await connect(socketDir, 'jobfleet leaving');
    if (reached.state === 'absent') return;
    ours = reached.state === 'connected' ? reached.client : undefined;
    if (ours === undefined) await sleep(pollMs);
  }
  throw new EmbeddedStoreError(
    `The server of the embedded store in ${dataDir} neither answered nor ended within ${openLimitMs / 1000} s while this process left it: it may go on running.`,
  );
}
