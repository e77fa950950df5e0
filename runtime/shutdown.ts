/**
 * The way out: named phases in order, each with a deadline. The first SIGTERM, SIGINT or SIGHUP begins it, a second one
 * ends the process at once (a person who presses Ctrl-C twice means it).
 */
import { constants } from 'node:os';
import type { Log } from './log.ts';

export interface Phase {
  /** For the log: `stop claiming`, `drain`, `close store`. */
  readonly name: string;
  /** After this long the next phase begins and the exit code becomes 1. */
  readonly deadlineMs: number;
  readonly run: () => Promise<void> | void;
}

export interface Shutdown {
  /** Phases run in the order they were added. */
  add(phase: Phase): void;
  /** True from the first signal on: `/readyz` answers 503, nothing new is claimed. */
  readonly draining: () => boolean;
  /** Runs the phases once, however often it is called, and answers the exit code: 0, or 1 when a phase failed or was late. */
  begin(reason: string): Promise<number>;
  /** Listens to the signals. Returns the way to stop listening. */
  listen(): () => void;
}

const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** `exit` is called with the code when the phases are over, or at once (128 + the signal's number) at a second signal. */
export function createShutdown(options: {
  readonly log: Log;
  readonly exit?: (code: number) => void;
  /** What to tell a person at the first signal, such as "finishing 1 job (max 25 s)". */
  readonly announce?: (signal: string) => void;
}): Shutdown {
  const exit = options.exit ?? ((code: number) => process.exit(code));
  const phases: Phase[] = [];
  let running: Promise<number> | undefined;

  const begin = (reason: string): Promise<number> => (running ??= runAll(phases, options.log, reason));

  return {
    add: (phase) => void phases.push(phase),
    draining: () => running !== undefined,
    begin,
    listen: () => {
      const heard = (signal: NodeJS.Signals): void => {
        if (running !== undefined) {
          exit(128 + (constants.signals[signal] ?? 0));
          return;
        }
        options.announce?.(signal);
        void begin(signal).then(exit);
      };
      for (const signal of signals) process.on(signal, heard);
      return () => {
        for (const signal of signals) process.off(signal, heard);
      };
    },
  };
}

async function runAll(phases: readonly Phase[], log: Log, reason: string): Promise<number> {
  log.info({ reason }, 'shutting down');
  let code = 0;
  for (const phase of phases) {
    const problem = await runPhase(phase);
    if (problem === undefined) continue;
    code = 1;
    log.error({ phase: phase.name, err: problem }, 'a shutdown phase did not end well');
  }
  log.info({ code }, 'shut down');
  return code;
}

/** What went wrong, or undefined. A late phase is left behind, not awaited. */
async function runPhase(phase: Phase): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Error>((resolve) => {
    timer = setTimeout(
      () => resolve(new Error(`"${phase.name}" was not over after ${phase.deadlineMs} ms`)),
      phase.deadlineMs,
    );
  });
  try {
    return await Promise.race([Promise.resolve(phase.run()).then(() => undefined), late]);
  } catch (error) {
    return error;
  } finally {
    clearTimeout(timer);
  }
}
