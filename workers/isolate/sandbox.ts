/**
 * The worker's side of one child: starts it, waits until it is ready, gives it one job, ends it. Whatever the ending, the
 * order is the same: stop reading, kill the group, prove that nobody of it is left, remove the folder, and only then
 * answer. So a second answer, a late change of a file or a lingering grandchild cannot matter.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { Duplex, type Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import type { Policy } from '../../jobs/policy.ts';
import type { AttemptFacts, Services } from '../context.ts';
import { runInChild } from './conversation.ts';
import type { Ending } from './endings.ts';
import type { ChildFolder } from './folders.ts';
import { endGroup, type Group, killGroup } from './group.ts';
import type { Guard } from './guard.ts';
import { type Confinement, commandLine } from './limits.ts';
import { collectOutput } from './output.ts';
import { markerName, startTicksOf } from './processes.ts';
import {
  createLineReader,
  type Downward,
  lineLimitBytes,
  ProtocolError,
  parseLine,
  type Upward,
  upward,
} from './protocol.ts';
import type { Watch } from './watch.ts';

export interface SandboxLog {
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface SandboxParts {
  readonly confinement: Confinement;
  readonly folder: ChildFolder;
  readonly userId: number | undefined;
  readonly policy: Policy;
  /** Node, its options, the entry file and the handler. */
  readonly command: readonly string[];
  readonly readable: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly readyMs: number;
  readonly watch: Watch;
  readonly guard: Guard;
  readonly log: SandboxLog;
}

export interface SandboxJob {
  readonly facts: AttemptFacts;
  readonly payload: unknown;
  readonly env: unknown;
  readonly policy: Policy;
  readonly signal: AbortSignal;
  readonly makeServices: (folder: string) => Services;
}

export interface Sandbox {
  /** Rejects with the reason and the last output when the child ends or stays silent instead. */
  readonly ready: Promise<void>;
  /** Resolves when an idle child has ended by itself; never after `run`. */
  readonly gone: Promise<string>;
  /** Once. Resolves with the result, rejects with what `endings.ts` makes of every other ending. */
  run(job: SandboxJob): Promise<unknown>;
  /** Kills it and removes everything. Idempotent; a job that still runs fails with `reason`. */
  discard(reason: unknown): Promise<void>;
}

/** The pipe of one child, as the conversation sees it. */
export interface Line {
  send(message: Downward): void;
  /** While true nothing is read: the child waits. */
  pause(isPaused: boolean): void;
  /** Replaces who hears the child's messages and its end. */
  listen(listener: LineListener): void;
}

export interface LineListener {
  onMessage(message: Upward): void;
  onEnd(ending: Ending): void;
}

export function startSandbox(parts: SandboxParts): Sandbox {
  const child = startProcess(parts);
  const pipe = pipeOf(child);
  let listener: LineListener | undefined;
  let isOver = false;
  const finish = (ending: Ending): void => {
    if (isOver) return;
    isOver = true;
    pipe.destroy();
    output.stop();
    listener?.onEnd(ending);
  };
  const output = collectOutput(streamsOf(child), (sentence) => finish({ kind: 'broke', sentence }));
  const group = groupOf(child, parts);
  const removed = once(() => remove(child, group, parts));
  const line: Line = {
    send: (message) => void (isOver || pipe.write(`${JSON.stringify(message)}\n`)),
    pause: (isPaused) => void (isPaused ? pipe.pause() : pipe.resume()),
    listen: (next) => (listener = next),
  };
  readMessages(
    pipe,
    () => !isOver,
    (message) => listener?.onMessage(message),
    finish,
  );
  child.once('error', (error) =>
    finish({ kind: 'broke', sentence: `The child could not be started: ${error.message}` }),
  );
  child.once('exit', (exitCode, signal) => {
    if (isOver) return;
    // Its answer or its last words may still be in the pipes: they close when everybody who holds them is dead.
    void endOf(child, group).then(() => finish({ kind: 'exit', exitCode, signal }));
  });
  const idle = waitUntilReady(line, parts, () => output.last());
  return {
    ready: idle.ready,
    gone: idle.gone,
    async run(job) {
      const end = { finish, remove: removed, output: () => output.last() };
      return runInChild(line, job, { ...parts, group, end });
    },
    async discard(reason) {
      finish({ kind: 'aborted', reason });
      await removed();
    },
  };
}

function startProcess(parts: SandboxParts): ChildProcess {
  const { confinement, folder, userId, readable, policy } = parts;
  const [file = '', ...rest] = commandLine(
    confinement,
    policy.child,
    { folder: folder.path, readable, userId, hasNetwork: policy.isolation === 'none' },
    parts.command,
  );
  const child = spawn(file, rest, {
    cwd: folder.path,
    detached: true,
    env: { ...parts.environment, HOME: folder.path, TMPDIR: folder.path, [markerName]: folder.marker },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  if (child.pid !== undefined) parts.guard.add(child.pid);
  return child;
}

function pipeOf(child: ChildProcess): Duplex {
  const pipe = child.stdio[3];
  if (!(pipe instanceof Duplex)) throw new Error('expected a pipe on fd 3 of the child; Node gave none');
  // A broken pipe is the end of the process, which is noticed by its exit.
  pipe.on('error', () => undefined);
  return pipe;
}

const streamsOf = (child: ChildProcess): Readable[] => [child.stdout, child.stderr].filter((stream) => stream !== null);

function groupOf(child: ChildProcess, parts: SandboxParts): Group | undefined {
  if (child.pid === undefined) return undefined;
  const startTicks = startTicksOf(child.pid) ?? 0;
  return { pid: child.pid, startTicks, marker: parts.folder.marker, userId: parts.userId, seen: new Set() };
}

function readMessages(
  pipe: Duplex,
  isWanted: () => boolean,
  onMessage: (message: Upward) => void,
  finish: (ending: Ending) => void,
): void {
  const read = createLineReader(lineLimitBytes);
  pipe.on('data', (chunk: Buffer) => {
    try {
      for (const text of read(chunk)) {
        if (!isWanted()) return;
        onMessage(parseLine(upward, text));
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      finish({ kind: 'broke', sentence: `The child broke the protocol: ${error.message}.` });
    }
  });
}

/** The first message must be `ready`, within `readyMs`: with no thread left Node does not fail, it hangs. */
function waitUntilReady(
  line: Line,
  parts: SandboxParts,
  output: () => string,
): { readonly ready: Promise<void>; readonly gone: Promise<string> } {
  let leave: (reason: string) => void = () => undefined;
  const gone = new Promise<string>((resolve) => (leave = resolve));
  const ready = new Promise<void>((resolve, reject) => {
    const fail = (reason: string): void => {
      clearTimeout(timer);
      reject(new Error(`${reason} Last output: ${output().trim().slice(-1_500) || 'none'}`));
      leave(reason);
    };
    const timer = setTimeout(() => fail(`The child was not ready within ${parts.readyMs} ms.`), parts.readyMs);
    line.listen({
      onMessage(message) {
        if (message.kind !== 'ready') return fail(`Expected "ready" of a fresh child, got "${message.kind}".`);
        clearTimeout(timer);
        line.listen({
          onMessage: (early) => leave(`An idle child sent "${early.kind}".`),
          onEnd: (ending) => leave(`An idle child ended: ${describeEnd(ending)}.`),
        });
        resolve();
      },
      onEnd: (ending) => fail(`The child ended before it was ready: ${describeEnd(ending)}.`),
    });
  });
  // Whoever discards a child that is not ready yet does not wait for it.
  ready.catch(() => undefined);
  return { ready, gone };
}

function describeEnd(ending: Ending): string {
  if (ending.kind === 'exit') return ending.signal ?? `exit code ${ending.exitCode}`;
  return ending.kind === 'broke' ? ending.sentence : ending.kind;
}

/** After the first process ended: the others die too, so that the pipes close and everything in them has been read. */
async function endOf(child: ChildProcess, group: Group | undefined): Promise<void> {
  const closed = new Promise<void>((resolve) => void child.once('close', () => resolve()));
  if (group !== undefined) await endGroup(group);
  await within(500, closed);
}

async function remove(child: ChildProcess, group: Group | undefined, parts: SandboxParts): Promise<void> {
  if (group !== undefined) {
    const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
    const exited = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
    // Scans while the kernel still takes the memory apart find nothing new and slow it down: wait for the first process.
    if (isRunning() && killGroup(group.pid)) await within(200, exited);
    const stuck = await endGroup(group);
    if (stuck.length > 0) {
      const pids = stuck.map((facts) => facts.pid);
      parts.log.error({ pids }, 'Processes of a child cannot be killed; they are stuck in the kernel');
    } else if (isRunning()) await exited;
    parts.guard.remove(group.pid);
  }
  await parts.folder.remove();
}

/** Waits for an event, but not for ever. */
async function within(ms: number, event: Promise<void>): Promise<void> {
  const abort = new AbortController();
  // The timer rejects when it is stopped, which is the end of it.
  await Promise.race([event, wait(ms, undefined, { signal: abort.signal }).catch(() => undefined)]);
  abort.abort();
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}
