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

/** The three states of an attempt: running, aborted (and still waited for), over. */
export class Running {
  readonly claim: Claim;
  /** The first reason given, or undefined. */
  aborted: AbortCode | undefined = undefined;
  /** True once the attempt has its outcome: whatever the handler still asks for is refused. */
  isOver = false;
  #controller: AbortController | undefined = undefined;
  #settle: ((answer: Answer) => void) | undefined = undefined;
  #limit: NodeJS.Timeout | undefined = undefined;
  #grace: NodeJS.Timeout | undefined = undefined;
  #leaveAt = Number.POSITIVE_INFINITY;

  // A class, because accessors of an object literal are made anew for each attempt, which costs more than all else here.
  constructor(claim: Claim) {
    this.claim = claim;
  }

  /** Lets every reader of one attempt share one controller. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.aborted !== undefined) this.#controller.abort(new AbortedError(this.aborted));
    }
    return this.#controller.signal;
  }

  /** Tells the handler why it must stop and stops waiting for it after `graceMs`. Later reasons change nothing but may shorten the wait. */
  abort(code: AbortCode, graceMs: number): void {
    if (this.isOver) return;
    if (this.aborted === undefined) {
      this.aborted = code;
      this.#controller?.abort(new AbortedError(code));
    }
    const at = Date.now() + graceMs;
    if (at >= this.#leaveAt) return;
    this.#leaveAt = at;
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => this.#end({ state: 'left' }), graceMs);
  }

  /** Resolves with the handler's answer, or `left` when a grace ran out before it. Call once. */
  answer(work: Promise<unknown>, timeoutMs: number, timeoutGraceMs: number): Promise<Answer> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#limit = setTimeout(() => this.abort('TIMED_OUT', timeoutGraceMs), timeoutMs);
      work.then(
        (result) => this.#end({ state: 'result', result }),
        (error: unknown) => this.#end({ state: 'error', error }),
      );
    });
  }

  /** The attempt has its outcome: no timer stays behind. May be called twice. */
  finish(): void {
    this.#end({ state: 'left' });
  }

  #end(answer: Answer): void {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.#limit);
    if (this.#grace !== undefined) clearTimeout(this.#grace);
    this.#settle?.(answer);
  }
}

export function createRunning(claim: Claim): Running {
  return new Running(claim);
}
