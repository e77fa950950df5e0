/** Progress and log lines of one attempt: bounded, masked, and never in the way of the work. */
import type { LogLevel } from '../../jobs/ports.ts';
import { mask, maskText } from '../../runtime/mask.ts';

/** Where notes go: the stored job, or a test's arrays. */
export interface NoteSink {
  readonly progress: (value: ProgressNote) => Promise<unknown>;
  /** Called for the next line while the last one is under way: the store keeps their order. */
  readonly log: (line: string) => Promise<unknown>;
}

/** As stored: the bare number, or with a note `{percent, note}`. */
export type ProgressNote = number | { readonly percent: number; readonly note: string };

export interface Notes {
  progress(percent: number, note: string | undefined): void;
  log(level: LogLevel, message: string, facts: Readonly<Record<string, unknown>> | undefined): void;
  /** Sends what is pending and waits until everything arrived or failed. */
  flush(): Promise<void>;
}

export const logLinesKept = 200;
const lineLimit = 2_000;
const progressEveryMs = 1_000;

/** `onError` hears once per attempt that a note could not be stored: the work goes on without it. */
export function createNotes(sink: NoteSink, onError: (error: unknown) => void): Notes {
  let highest = 0;
  let sentAt = Number.NEGATIVE_INFINITY;
  let pending: ProgressNote | undefined;
  let timer: NodeJS.Timeout | undefined;
  let lines = 0;
  let failed = false;
  const open = new Set<Promise<void>>();

  const send = (write: () => Promise<unknown>): void => {
    const sending: Promise<void> = write()
      .then(
        () => undefined,
        (error: unknown) => {
          if (!failed) onError(error);
          failed = true;
        },
      )
      .finally(() => open.delete(sending));
    open.add(sending);
  };
  const sendProgress = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const value = pending;
    pending = undefined;
    if (value === undefined) return;
    sentAt = performance.now();
    send(() => sink.progress(value));
  };
  return {
    progress(percent, note) {
      if (Number.isNaN(percent)) return;
      highest = Math.max(highest, Math.min(100, percent));
      pending = note === undefined ? highest : { percent: highest, note: maskText(note).slice(0, 200) };
      const waitMs = sentAt + progressEveryMs - performance.now();
      if (waitMs <= 0) sendProgress();
      else timer ??= setTimeout(sendProgress, waitMs);
    },
    log(level, message, facts) {
      lines += 1;
      if (lines > logLinesKept) return;
      const line =
        lines === logLinesKept ? 'warn no more lines are kept for this attempt' : lineOf(level, message, facts);
      send(() => sink.log(line));
    },
    async flush() {
      sendProgress();
      await Promise.all(open);
    },
  };
}

function lineOf(level: LogLevel, message: string, facts: Readonly<Record<string, unknown>> | undefined): string {
  const text = `${level} ${maskText(message)}`;
  const line = facts === undefined ? text : `${text} ${JSON.stringify(mask(facts))}`;
  return line.replaceAll(/[\r\n]+/g, ' ').slice(0, lineLimit);
}
