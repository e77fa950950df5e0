/** One job in one child: messages, calls, time limits and aborts, until the first thing that ends it. */
import type { AbortCode } from '../../jobs/define.ts';
import { type Desk, maxOpenCalls, openDesk } from './desk.ts';
import { type Ending, errorOf } from './endings.ts';
import type { Group } from './group.ts';
import { type Upward } from './protocol.ts';
import type { Line, SandboxJob, SandboxParts } from './sandbox.ts';
import type { Watched } from './watch.ts';

/** How the conversation closes the line and removes the child. */
interface End {
  readonly finish: (ending: Ending) => void;
  readonly remove: () => Promise<void>;
  readonly output: () => string;
}

type Parts = SandboxParts & { readonly group: Group | undefined; readonly end: End };

/** From `abort` to SIGKILL at the time limit: the answer would be refused, so this is only to let go of what is outside. */
const timeoutGraceMs = 1_000;
const maxLogLines = 200;
/** A child may say so much unasked at once and so much more each second; its own side says far less. Calls are the desk's to count. */
const burst = 500;
const messagesPerSecond = 10;
const codes: readonly string[] = ['CANCELLED', 'TIMED_OUT', 'SHUTDOWN', 'LEASE_LOST'] satisfies AbortCode[];

/** Resolves with the result, or rejects, when the child is proven dead and its folder is gone. */
export async function runInChild(line: Line, job: SandboxJob, parts: Parts): Promise<unknown> {
  const { ending, serviceError } = await converse(line, job, parts);
  await parts.end.remove();
  if (ending.kind === 'result') return ending.result;
  throw errorOf(ending, job.policy, parts.end.output(), serviceError);
}

interface Ended {
  readonly ending: Ending;
  readonly serviceError: unknown;
}

function converse(line: Line, job: SandboxJob, parts: Parts): Promise<Ended> {
  return new Promise((resolve) => {
    const { finish } = parts.end;
    const clock = startClock(line, job, finish);
    const watched = watchedOf(job, parts, finish);
    const services = job.makeServices(parts.folder.path);
    const desk = openDesk({
      services,
      folder: parts.folder.path,
      userId: parts.userId,
      send: (message) => line.send(message),
      onChange: () => {
        line.pause(desk.openCalls() >= maxOpenCalls);
        clock.heard(desk.openCalls() > 0);
      },
    });
    const hear = createHearing(services, desk);
    line.listen({
      onMessage(message) {
        if (message.kind === 'result' || message.kind === 'error') return finish(clock.judge(message));
        clock.heard(desk.openCalls() > 0);
        const broken = hear(message);
        if (broken !== undefined) finish({ kind: 'broke', sentence: broken });
      },
      onEnd(ending) {
        clock.stop();
        if (watched !== undefined) parts.watch.remove(watched);
        resolve({ ending, serviceError: desk.lastError() });
      },
    });
    if (watched !== undefined) parts.watch.add(watched);
    line.send({ kind: 'init', facts: job.facts, payload: job.payload, env: job.env });
    clock.start();
  });
}

function watchedOf(job: SandboxJob, parts: Parts, finish: (ending: Ending) => void): Watched | undefined {
  if (parts.group === undefined) return undefined;
  // What confines the child is in its group too, and is not its doing.
  const links = { none: 0, limits: 0, namespaces: 1, bwrap: 2 }[parts.confinement.level];
  const { child } = job.policy;
  return {
    group: parts.group,
    folder: parts.folder.path,
    limits: { ...child, processes: child.processes + links },
    onExcess: (excess) => finish({ kind: 'excess', excess }),
  };
}

/** Passes messages on. Answers a sentence when the child sends what no honest child sends. */
function createHearing(
  services: ReturnType<SandboxJob['makeServices']>,
  desk: Desk,
): (message: Exclude<Upward, { kind: 'result' | 'error' }>) => string | undefined {
  const startedAt = performance.now();
  let messages = 0;
  let logLines = 0;
  return (message) => {
    if (message.kind !== 'call') messages += 1;
    if (messages > burst + ((performance.now() - startedAt) / 1_000) * messagesPerSecond) {
      return `The child flooded its pipe with ${messages} messages.`;
    }
    switch (message.kind) {
      case 'ready':
        return 'The child said "ready" twice.';
      case 'progress':
        services.progress(message.percent, message.note);
        return undefined;
      case 'log':
        logLines += 1;
        if (logLines <= maxLogLines) services.log(message.level, message.message, message.facts);
        return undefined;
      case 'call':
        desk.take(message.id, message.call);
        return undefined;
    }
  };
}

interface Clock {
  start(): void;
  /** The child gave a sign of life, or the worker is at work for it. */
  heard(isWorkerBusy: boolean): void;
  /** What an answer counts for at this moment. */
  judge(answer: Extract<Upward, { kind: 'result' | 'error' }>): Ending;
  stop(): void;
}

function startClock(line: Line, job: SandboxJob, finish: (ending: Ending) => void): Clock {
  const { signal, policy } = job;
  const timers = new Set<NodeJS.Timeout>();
  let quiet: NodeJS.Timeout | undefined;
  let refused: Ending | undefined;
  let isShutdown = false;
  const after = (ms: number, ending: Ending): void => void timers.add(setTimeout(() => finish(ending), ms));
  const timeOut = (): void => {
    if (refused !== undefined) return;
    refused = { kind: 'timeout' };
    line.send({ kind: 'abort', code: 'TIMED_OUT' });
    after(timeoutGraceMs, refused);
  };
  const onAbort = (): void => {
    const code = codeOf(signal.reason);
    if (code === 'TIMED_OUT') return timeOut();
    const ending: Ending = { kind: 'aborted', reason: signal.reason };
    // Another worker may run the job already: nothing this child does may happen any more.
    if (code === 'LEASE_LOST') return finish(ending);
    if (code === 'SHUTDOWN') isShutdown = true;
    else refused ??= ending;
    line.send({ kind: 'abort', code });
    after(policy.graceMs, ending);
  };
  return {
    start() {
      timers.add(setTimeout(timeOut, policy.timeoutMs));
      this.heard(false);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    },
    heard(isWorkerBusy) {
      if (policy.child.quietMs === 0) return;
      clearTimeout(quiet);
      if (!isWorkerBusy) quiet = setTimeout(() => finish({ kind: 'silent' }), policy.child.quietMs);
    },
    judge(answer) {
      if (refused !== undefined) return refused;
      // A handler that stopped because it was told to has not failed: the job is handed back.
      const isStopped = isShutdown && answer.kind === 'error' && answer.error.code === 'UNEXPECTED';
      return isStopped ? { kind: 'aborted', reason: signal.reason } : answer;
    },
    stop() {
      clearTimeout(quiet);
      for (const timer of timers) clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
}

function isAbortCode(value: unknown): value is AbortCode {
  return typeof value === 'string' && codes.includes(value);
}

/** A reason without one of the codes is somebody who wants the run to end: a cancel. */
function codeOf(reason: unknown): AbortCode {
  const code = typeof reason === 'object' && reason !== null && 'code' in reason ? reason.code : undefined;
  return isAbortCode(code) ? code : 'CANCELLED';
}
