/**
 * One attempt in progress, as cancel, time limit, shutdown and a lost lease reach it. The AbortController is made when
 * somebody reads `signal`: an attempt nobody watches goes without (it costs more than the rest of the context).
 */
import type { AbortCode } from '../jobs/define.ts';
import type { Claim } from './claim.ts';

/** What `signal.reason` is. */
export class AbortedError extends Error {
  override readonly name = 'AbortedError';
  readonly code: AbortCode;
  constructor(code: AbortCode) {
    super(`${code}: ${sentences[code]}`);
    this.code = code;
  }
}

const sentences: Readonly<Record<AbortCode, string>> = {
  CANCELLED: 'the job was cancelled on request',
  TIMED_OUT: 'the attempt reached its time limit',
  SHUTDOWN: 'this worker is shutting down; the job is handed back',
  LEASE_LOST: 'another worker may have the job by now',
};

/** How a handler's promise ended, or that nobody waits for it any more. */
export type Answer =
  | { readonly state: 'result'; readonly result: unknown }
  | { readonly state: 'error'; readonly error: unknown }
  | { readonly state: 'left' };

export interface Running {
  readonly claim: Claim;
  /** Lets every reader of one attempt share one controller. */
  readonly signal: AbortSignal;
  /** The first reason given, or undefined. */
  readonly aborted: AbortCode | undefined;
  /** True once the attempt has its outcome: whatever the handler still asks for is refused. */
  readonly isOver: boolean;
  /** Tells the handler why it must stop and stops waiting for it after `graceMs`. Later reasons change nothing but may shorten the wait. */
  abort(code: AbortCode, graceMs: number): void;
  /** Resolves with the handler's answer, or `left` when a grace ran out before it. Call once. */
  answer(work: Promise<unknown>, timeoutMs: number, timeoutGraceMs: number): Promise<Answer>;
  /** The attempt has its outcome: no timer stays behind. May be called twice. */
  finish(): void;
}

export function createRunning(claim: Claim): Running {
  let controller: AbortController | undefined;
  let aborted: AbortCode | undefined;
  let settle: ((answer: Answer) => void) | undefined;
  let limit: NodeJS.Timeout | undefined;
  let grace: NodeJS.Timeout | undefined;
  let leaveAt = Number.POSITIVE_INFINITY;
  let isOver = false;

  const end = (answer: Answer): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(limit);
    clearTimeout(grace);
    settle?.(answer);
  };
  const abort = (code: AbortCode, graceMs: number): void => {
    if (isOver) return;
    if (aborted === undefined) {
      aborted = code;
      controller?.abort(new AbortedError(code));
    }
    const at = Date.now() + graceMs;
    if (at >= leaveAt) return;
    leaveAt = at;
    clearTimeout(grace);
    grace = setTimeout(() => end({ state: 'left' }), graceMs);
  };
  return {
    claim,
    get signal() {
      if (controller === undefined) {
        controller = new AbortController();
        if (aborted !== undefined) controller.abort(new AbortedError(aborted));
      }
      return controller.signal;
    },
    get aborted() {
      return aborted;
    },
    get isOver() {
      return isOver;
    },
    abort,
    finish: () => end({ state: 'left' }),
    answer: (work, timeoutMs, timeoutGraceMs) =>
      new Promise((resolve) => {
        settle = resolve;
        limit = setTimeout(() => abort('TIMED_OUT', timeoutGraceMs), timeoutMs);
        work.then(
          (result) => end({ state: 'result', result }),
          (error: unknown) => end({ state: 'error', error }),
        );
      }),
  };
}
