/**
 * Children that wait for their job. Each has loaded its handler and opened nothing; a job takes one, the next is
 * started at once, and exactly one job runs in each. So a job waits for a child only where jobs come faster than
 * children start. Lives on the main thread: the parent-death signal hangs on the thread that spawned.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Policy } from '../../jobs/policy.ts';
import type { AttemptFacts, Services } from '../context.ts';
import { AbortedError } from '../running.ts';
import { childCommand, childEnvironment, defaultSpares, entryFile, readableFolders, readyMs } from './command.ts';
import { makeFolder, openBase, removeLeftovers } from './folders.ts';
import { openGuard } from './guard.ts';
import { findLevel } from './level.ts';
import type { Level } from './limits.ts';
import { type Sandbox, type SandboxLog, type SandboxParts, startSandbox } from './sandbox.ts';
import { createShelf, type Shelf } from './shelf.ts';
import { randomUserId } from './user-ids.ts';
import { createWatch } from './watch.ts';

export interface PoolType {
  readonly name: string;
  /** `file:` URL of its handler module. */
  readonly handlerUrl: string;
  readonly policy: Policy;
  /** Values of the variables the handler declares, as JSON; sent with the job, never in the environment. */
  readonly env: unknown;
  /** Children kept ready. Default: the pool's. 0 = started when a job comes (a type that runs in a child only as a suspect). */
  readonly spares?: number;
}

export interface PoolOptions {
  readonly types: readonly PoolType[];
  /**
   * Children kept ready for each type from its first job on, at most its concurrency; one before that. Default: one a
   * processor, at most 4; 1 below 1 GiB of memory.
   */
  readonly spares?: number;
  readonly log: SandboxLog;
  /** PATH, LANG and TZ are taken from it, nothing else. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where the children's folders are. Default: `jobfleet-<user id>` in the system's folder for temporary files. */
  readonly base?: string;
  /** Nothing stronger than this is tried. Default `bwrap`. */
  readonly atMost?: Level;
}

export interface PoolAttempt {
  readonly facts: AttemptFacts;
  readonly signal: AbortSignal;
  readonly policy: Policy;
}

export interface Pool {
  /** Starts the first spare of each type, one after another. A job need not wait for it: it starts a child of its own. */
  prepare(): Promise<void>;
  readonly level: Level;
  /** True when every child has a user id of its own. */
  readonly hasOwnUser: boolean;
  /** Why stronger levels were refused here, one sentence each. */
  readonly refused: readonly string[];
  /**
   * Runs one job in a fresh child. `makeServices` gets the child's folder. Resolves with the result, rejects with the
   * handler's `JobError`, a `SANDBOX_*` one, or the signal's reason; in every case the child, everything it started and
   * its folder are gone by then.
   */
  run(
    type: string,
    payload: unknown,
    makeServices: (folder: string) => Services,
    attempt: PoolAttempt,
  ): Promise<unknown>;
  /** Why no child of the type becomes ready, with its last output; undefined when all is well. */
  unavailable(type: string): string | undefined;
  /** Kills every child; jobs that still run fail with `SHUTDOWN`. */
  close(): Promise<void>;
}

/** Removes what dead workers left and finds the level. Children are started by `prepare` and by jobs. */
export async function openPool(options: PoolOptions): Promise<Pool> {
  const base = options.base ?? join(tmpdir(), `jobfleet-${process.getuid?.() ?? 'children'}`);
  await openBase(base);
  const leftovers = await removeLeftovers(base);
  if (leftovers > 0) options.log.warn({ leftovers }, 'Removed folders that killed workers left behind');
  const readable = readableFolders(options.types.map((type) => type.handlerUrl));
  const environment = childEnvironment(options.environment);
  const found = await findLevel({
    base,
    readable,
    entry: entryFile(),
    path: environment['PATH'] ?? '',
    ...(options.atMost === undefined ? {} : { atMost: options.atMost }),
  });
  const guard = await openGuard();
  const watch = createWatch((error) => options.log.error({ err: error }, 'A look at the children failed'));
  const start = createStarter(base, { confinement: found, readable, environment, watch, guard, log: options.log });
  const shelves = new Map<string, Shelf>();
  for (const type of options.types) {
    const spares = Math.min(type.spares ?? options.spares ?? defaultSpares(), type.policy.concurrency);
    shelves.set(type.name, createShelf({ name: type.name, spares, start: () => start(type), log: options.log }));
  }
  return {
    async prepare() {
      for (const shelf of shelves.values()) await shelf.prepare();
    },
    level: found.level,
    hasOwnUser: found.hasOwnUser,
    refused: found.refused,
    async run(name, payload, makeServices, attempt) {
      const type = options.types.find((it) => it.name === name);
      const shelf = shelves.get(name);
      if (type === undefined || shelf === undefined) throw new Error(`The pool was opened without the type "${name}".`);
      return runOne(shelf, attempt, { payload, env: type.env, makeServices });
    },
    unavailable: (name) => shelves.get(name)?.unavailable(),
    async close() {
      await Promise.all([...shelves.values()].map((shelf) => shelf.close(new AbortedError('SHUTDOWN'))));
      watch.close();
      await guard.close();
    },
  };
}

type Shared = Pick<SandboxParts, 'confinement' | 'readable' | 'environment' | 'watch' | 'guard' | 'log'>;

/** Starts a child in a folder of its own, under a user id of its own where there can be one. */
function createStarter(base: string, shared: Shared): (type: PoolType) => Promise<Sandbox> {
  const userIds = new Set<number>();
  return async (type) => {
    const userId = shared.confinement.hasOwnUser ? randomUserId(userIds) : undefined;
    if (userId !== undefined) userIds.add(userId);
    const folder = await makeFolder(base, userId);
    const remove = async (): Promise<void> => {
      await folder.remove();
      if (userId !== undefined) userIds.delete(userId);
    };
    const command = childCommand(type.handlerUrl, type.policy);
    try {
      return startSandbox({ ...shared, folder: { ...folder, remove }, userId, policy: type.policy, command, readyMs });
    } catch (error) {
      await remove();
      throw error;
    }
  };
}

async function runOne(
  shelf: Shelf,
  attempt: PoolAttempt,
  job: {
    readonly payload: unknown;
    readonly env: unknown;
    readonly makeServices: (folder: string) => Services;
  },
): Promise<unknown> {
  const sandbox = await shelf.take(attempt.signal);
  try {
    return await sandbox.run({ ...job, ...attempt });
  } finally {
    shelf.done(sandbox);
  }
}
