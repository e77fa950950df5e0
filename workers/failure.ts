/**
 * A failed attempt as BullMQ stores it: message and stack. The code comes first in the message, so that dead letters can
 * be grouped by it; both are masked and cut here, because the board shows them as they are.
 */
import { JobError } from '../jobs/errors.ts';
import { maskText } from '../runtime/mask.ts';
import type { Ended } from './attempt.ts';

const messageLimit = 1_000;
const frameLimit = 50;
const frameLengthLimit = 500;

/** Carries the verdict of `attempt()` through BullMQ, which asks for it once (`backoff`). */
export class AttemptFailed extends Error {
  /** −1: a dead letter at once. */
  readonly retryInMs: number;
  /** The job becomes a dead letter. */
  readonly isLast: boolean;
  constructor(ended: Pick<Ended, 'error' | 'outcome'>) {
    const { outcome, error } = ended;
    super(storedMessage(error));
    this.retryInMs = outcome.state === 'retry' ? outcome.delayMs : -1;
    this.isLast = this.retryInMs === -1;
    // BullMQ reads this name as "no further attempt", whatever options a foreign producer gave the job.
    this.name = this.isLast ? 'UnrecoverableError' : 'AttemptFailed';
    this.stack = storedStack(this.message, error);
  }
}

/** `CODE: message`, at most 1,000 characters. */
export function storedMessage(error: Error | undefined): string {
  const code = error instanceof JobError ? error.code : 'UNEXPECTED';
  // Cut before masking too: a text of megabytes must not be scanned.
  return maskText(`${code}: ${(error?.message ?? '').slice(0, 4 * messageLimit)}`).slice(0, messageLimit);
}

/** The message and at most 50 frames, those of causes included. */
function storedStack(message: string, error: Error | undefined): string {
  const frames: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 4 && current instanceof Error; depth += 1) {
    if (depth > 0) frames.push(`caused by ${maskText(`${current.name}: ${current.message.slice(0, messageLimit)}`)}`);
    for (const line of (current.stack ?? '').slice(0, 64_000).split('\n'))
      if (/^\s+at /.test(line)) frames.push(maskText(line.slice(0, frameLengthLimit)));
    current = current.cause;
  }
  return [message, ...frames.slice(0, frameLimit)].join('\n');
}
