/**
 * Keeps N worker processes running: starts a dead one anew, more and more slowly while it keeps dying; replaces one that
 * has grown too large, the new one first; tells all of them to stop. Their output becomes one stream of whole lines.
 */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Log } from '../runtime/log.ts';
import { fromWorker, type WorkerState } from './supervision.ts';

export interface SuperviseOptions {
  readonly processes: number;
  /** A worker process above it is replaced; its children are not counted. Default: no limit. */
  readonly maxMemoryMb?: number | undefined;
  /** Starts one, with piped output and a channel, in a process group of its own: a Ctrl-C reaches the supervisor alone. */
  readonly start: () => ChildProcess;
  readonly log: Pick<Log, 'error' | 'fatal' | 'info' | 'warn'>;
  /** Where what they print goes. Default: standard output. */
  readonly output?: NodeJS.WritableStream;
  /** What a process that is told to stop may take before it is killed. */
  readonly stopMs: number;
  /** The first process ended with 2: the call was wrong, starting it again cannot help. */
  readonly onWrongCall: () => void;
  /** First and longest wait before a restart. Default 500 and 30,000. */
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number };
  /** Running for so long makes a process as good as new. Default 30,000. */
  readonly healthyMs?: number;
}

export interface Supervisor {
  live(): string | undefined;
  ready(): string | undefined;
  active(): number;
  /** The metrics of each process that answers within two seconds. */
  families(): Promise<readonly { readonly process: number; readonly families: readonly object[] }[]>;
  /** Tells all to drain and waits. 0 when all ended well. */
  stop(): Promise<number>;
  /** Ends all at once. */
  kill(): void;
}

/** As many deaths in a row are a crash loop. */
const crashLoop = 5;
const askMs = 2_000;

interface Member {
  readonly child: ChildProcess;
  readonly slot: Slot;
  readonly startedAt: number;
  readonly ended: Promise<number | null>;
  state: WorkerState | undefined;
}

/** One of the N places. */
interface Slot {
  readonly number: number;
  member: Member | undefined;
  /** The replacement of a member that is too large, on its way up. */
  next: Member | undefined;
  failures: number;
  restart: NodeJS.Timeout | undefined;
  problem: string | undefined;
}

export function supervise(options: SuperviseOptions): Supervisor {
  const { log, backoff = { baseMs: 500, maxMs: 30_000 }, healthyMs = 30_000 } = options;
  const members = new Set<Member>();
  const answers = new Map<number, (families: readonly object[]) => void>();
  let isStopping = false;
  let wasUp = false;
  let asked = 0;
  const slots: Slot[] = Array.from({ length: options.processes }, (_, index) => ({
    number: index + 1,
    member: undefined,
    next: undefined,
    failures: 0,
    restart: undefined,
    problem: undefined,
  }));

  const start = (slot: Slot): Member => {
    const child = options.start();
    passLines(child.stdout, options.output ?? process.stdout);
    passLines(child.stderr, process.stderr);
    const ended = new Promise<number | null>((resolve) => {
      child.once('error', (error) => log.error({ process: slot.number, err: error }, 'worker process not started'));
      child.once('close', (code) => resolve(code));
    });
    const member: Member = { child, slot, startedAt: performance.now(), ended, state: undefined };
    members.add(member);
    child.on('message', (message: unknown) => hear(member, message));
    child.once('exit', (code, signal) => over(member, code, signal));
    return member;
  };
  const hear = (member: Member, message: unknown): void => {
    const said = fromWorker.safeParse(message).data;
    if (said === undefined) return;
    if (said.kind === 'metrics') {
      answers.get(said.id)?.(said.families);
      return;
    }
    member.state = said;
    wasUp = true;
    const { slot } = member;
    if (slot.next === member && said.ready === null) takeOver(slot, member);
    if (slot.member !== member) return;
    if (slot.failures > 0 && performance.now() - member.startedAt > healthyMs) {
      if (slot.problem !== undefined) log.info({ process: slot.number }, 'worker process runs again');
      Object.assign(slot, { failures: 0, problem: undefined });
    }
    if (said.memoryMb > (options.maxMemoryMb ?? Number.POSITIVE_INFINITY)) replace(slot, said.memoryMb);
  };
  /** One at a time: each needs the memory of two for a while. */
  const replace = (slot: Slot, memoryMb: number): void => {
    if (isStopping || slots.some(({ next }) => next !== undefined)) return;
    log.warn(
      { process: slot.number, memoryMb, maxMemoryMb: options.maxMemoryMb },
      'worker process replaced: too large',
    );
    slot.next = start(slot);
  };
  const takeOver = (slot: Slot, next: Member): void => {
    const old = slot.member;
    Object.assign(slot, { member: next, next: undefined });
    if (old !== undefined) void end(old);
  };
  const over = (member: Member, code: number | null, signal: NodeJS.Signals | null): void => {
    members.delete(member);
    const { slot } = member;
    const isCurrent = slot.member === member;
    if (slot.next === member) slot.next = undefined;
    else if (!isCurrent) return;
    if (isCurrent) slot.member = undefined;
    if (isStopping) return;
    if (code === 2 && !wasUp) return options.onWrongCall();
    fail(slot, performance.now() - member.startedAt, code, signal, isCurrent);
  };
  const fail = (
    slot: Slot,
    ranMs: number,
    code: number | null,
    signal: NodeJS.Signals | null,
    isCurrent: boolean,
  ): void => {
    slot.failures = ranMs > healthyMs ? 1 : slot.failures + 1;
    const restartMs = Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(slot.failures - 1, 30));
    log.error({ process: slot.number, code, signal, ranMs: Math.round(ranMs), restartMs }, 'worker process died');
    if (slot.failures >= crashLoop) {
      slot.problem = `Worker process ${slot.number} died ${slot.failures} times in a row, the last time with ${signal ?? `code ${code}`}.`;
      log.fatal({ process: slot.number, failures: slot.failures }, 'crash loop: a worker process keeps dying');
    }
    if (!isCurrent) return;
    slot.restart = setTimeout(() => {
      slot.member = start(slot);
    }, restartMs);
  };
  const end = async ({ child, ended }: Member): Promise<number | null> => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), options.stopMs);
    const code = await ended;
    clearTimeout(late);
    return code;
  };
  const ask = (member: Member): Promise<readonly object[] | undefined> =>
    new Promise((resolve) => {
      asked += 1;
      const id = asked;
      const settle = (families: readonly object[] | undefined): void => {
        clearTimeout(timer);
        answers.delete(id);
        resolve(families);
      };
      const timer = setTimeout(() => settle(undefined), askMs);
      answers.set(id, settle);
      // One that dies meanwhile does not answer.
      member.child.send({ kind: 'metrics', id }, () => undefined);
    });

  for (const slot of slots) slot.member = start(slot);
  const current = (): Member[] => slots.flatMap(({ member }) => (member === undefined ? [] : [member]));
  return {
    live: () => current().flatMap(({ state }) => state?.live ?? [])[0],
    ready: () => {
      const problem = slots.find((slot) => slot.problem !== undefined)?.problem;
      if (problem !== undefined) return problem;
      const states = current().map(({ state }) => state);
      if (states.some((state) => state?.ready === null)) return undefined;
      return states.flatMap((state) => state?.ready ?? [])[0] ?? 'The worker processes are still starting.';
    },
    active: () => [...members].reduce((sum, { state }) => sum + (state?.active ?? 0), 0),
    families: async () => {
      const asking = current().map(async (member) => ({ process: member.slot.number, families: await ask(member) }));
      const answered = await Promise.all(asking);
      return answered.flatMap(({ process: number, families }) =>
        families === undefined ? [] : [{ process: number, families }],
      );
    },
    stop: async () => {
      isStopping = true;
      for (const { restart } of slots) clearTimeout(restart);
      const codes = await Promise.all(Array.from(members, end));
      return codes.every((code) => code === 0) ? 0 : 1;
    },
    kill: () => {
      isStopping = true;
      for (const { restart } of slots) clearTimeout(restart);
      for (const { child } of members) child.kill('SIGKILL');
    },
  };
}

/** Lines of several processes would mix within a line where one is longer than a pipe takes at once. */
function passLines(from: Readable | null, to: NodeJS.WritableStream): void {
  if (from === null) return;
  createInterface({ input: from, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => to.write(`${line}\n`));
}
