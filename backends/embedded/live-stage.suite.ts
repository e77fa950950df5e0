/** What the live tests of the embedded store share: a folder per test, stores and processes in it, and none left behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { Client } from 'pg';
import { onTestFinished, vi } from 'vitest';
import { signalAll } from '../../tests/support/children.ts';
import { program } from '../../tests/support/compiled.ts';
import { findProcess, isServerOf } from './pid-file.ts';
import { type EmbeddedStore, openEmbedded } from './server.ts';

export const asRoot = process.geteuid?.() === 0;

type Undo = (() => unknown)[];

interface Stage {
  /** A folder of this test, which everybody may enter. */
  readonly root: string;
  /** Where its store lies. */
  readonly dir: string;
  /** What open stores reported. */
  readonly errors: string[];
  /** Run in reverse order before the folder is removed. */
  readonly undo: Undo;
  readonly open: (at?: string) => Promise<EmbeddedStore>;
  readonly hold: (at: string, options?: HoldOptions) => Holder;
}

/** Makes the stage of the running test. Its stores are closed and its servers ended when the test is over, however it went. */
export async function openStage(): Promise<Stage> {
  const root = await mkdtemp(join(await realpath(tmpdir()), 'jobfleet-live-'));
  await chmod(root, 0o755);
  const undo: Undo = [];
  onTestFinished(async () => {
    for (const step of undo.toReversed()) await step();
    for (const pid of await serversIn(root)) {
      signalAll([pid]);
      await gone(pid);
    }
    await rm(root, { recursive: true, force: true });
  });
  const errors: string[] = [];
  const dir = join(root, 'queue');
  const open = async (at = dir): Promise<EmbeddedStore> => {
    const store = await openEmbedded(at, {
      onError: (error) => errors.push(error.message),
      sharedFolder: join(root, 'shared'),
    });
    undo.push(() => store.close());
    return store;
  };
  return { root, dir, errors, undo, open, hold: (at, options) => hold(undo, at, options) };
}

/** Ended, and its status taken. */
export async function gone(pid: number | undefined): Promise<void> {
  const running = async (): Promise<void> => {
    if ((await findProcess(pid ?? 0)) !== undefined) throw new Error(`Process ${pid} still runs.`);
  };
  await vi.waitFor(running, { timeout: 10_000, interval: 20 });
}

/** The servers whose data lies below `folder`, from the process table. */
export async function serversIn(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    const process = /^\d+$/.test(name) ? await findProcess(Number(name)) : undefined;
    const dataDir = process?.args[process.args.indexOf('-D') + 1] ?? '';
    if (dataDir.startsWith(`${folder}/`) && isServerOf(dataDir, process)) found.push(Number(name));
  }
  return found;
}

/** The postmaster and everything it started. */
export async function processesOf(postmaster: number): Promise<number[]> {
  const children = await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8');
  return [postmaster, ...children.trim().split(' ').filter(Boolean).map(Number)];
}

/** Runs one statement on a connection of its own. */
export async function query(store: EmbeddedStore, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: store.url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

interface HoldOptions {
  readonly mode?: 'add';
  /** Runs as this user. */
  readonly uid?: number;
  /** In a process group of its own. */
  readonly detached?: boolean;
}

/** A process that holds a store (live-holder.suite.ts). */
interface Holder {
  readonly child: ChildProcess;
  /** Rows it inserted, each named after its commit. */
  readonly added: string[];
  /** Resolves with the value of the first line that says `event`, past and future. */
  readonly said: (event: string) => Promise<unknown>;
  /** Closes the store, and waits for the end of the process. */
  readonly close: () => Promise<void>;
}

function hold(undo: Undo, at: string, options: HoldOptions = {}): Holder {
  const holder = program('backends/embedded/live-holder.suite.ts');
  const args = [...holder, at, ...(options.mode === undefined ? [] : [options.mode])];
  const as = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid };
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: options.detached ?? false,
    ...as,
  });
  undo.push(() => child.kill('SIGKILL'));
  const added: string[] = [];
  const events: Record<string, unknown>[] = [];
  const output: Interface = createInterface({ input: child.stdout });
  output.on('line', (line) => {
    const event: Record<string, unknown> = JSON.parse(line);
    if (typeof event['added'] === 'string') added.push(event['added']);
    else events.push(event);
  });
  const said = async (event: string): Promise<unknown> => {
    for (;;) {
      const found = events.find((one) => event in one);
      if (found !== undefined) return found[event];
      if (child.exitCode !== null)
        throw new Error(`The holder ended before it said ${event}: ${JSON.stringify(events)}`);
      await Promise.race([once(output, 'line'), once(child, 'exit')]);
    }
  };
  const close = async (): Promise<void> => {
    const exit = once(child, 'exit');
    child.stdin?.write('close\n');
    await said('closed');
    await exit;
  };
  return { child, added, said, close };
}

/** Sends a signal and waits for the end. */
export async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}
