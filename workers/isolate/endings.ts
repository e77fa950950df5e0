/** How a child's one job ended, and the error that makes of it. Pure. */
import { giveUp, JobError, retry } from '../../jobs/errors.ts';
import type { Policy } from '../../jobs/policy.ts';
import { believeError, type Failure } from './protocol.ts';
import type { Excess } from './watch.ts';

export type Ending =
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'error'; readonly error: Failure }
  /** The process ended by itself, or somebody else ended it. */
  | { readonly kind: 'exit'; readonly exitCode: number | null; readonly signal: NodeJS.Signals | null }
  /** It broke the protocol or flooded its output. */
  | { readonly kind: 'broke'; readonly sentence: string }
  | { readonly kind: 'excess'; readonly excess: Excess }
  | { readonly kind: 'silent' }
  | { readonly kind: 'timeout' }
  /** Cancel, shutdown or lost lease: the attempt fails with the signal's own reason. */
  | { readonly kind: 'aborted'; readonly reason: unknown };

const outOfMemory = /out of memory|cannot allocate memory|array buffer allocation failed|std::bad_alloc|\bENOMEM\b/i;
const tooLarge = /\bEFBIG\b|file too large/i;

/**
 * The error an attempt fails with; never called for a result. `output` is the last of stdout and stderr, `serviceError`
 * what last went wrong on the worker's side of a call: the child was not told more than that it failed.
 */
export function errorOf(
  ending: Exclude<Ending, { kind: 'result' }>,
  policy: Policy,
  output: string,
  serviceError?: unknown,
): unknown {
  switch (ending.kind) {
    case 'error':
      return errorOfAnswer(ending.error, policy, serviceError);
    case 'exit':
      return errorOfExit(ending.exitCode, ending.signal, output);
    case 'broke':
      return retry('SANDBOX_CRASH', withOutput(ending.sentence, output));
    case 'excess':
      return errorOfExcess(ending.excess, output);
    case 'silent':
      return retry('SANDBOX_TIMEOUT', `The child sent nothing for ${policy.child.quietMs} ms and was killed.`);
    case 'timeout':
      return retry('SANDBOX_TIMEOUT', `The child was killed at its time limit of ${policy.timeoutMs} ms.`);
    case 'aborted':
      return ending.reason;
  }
}

function errorOfAnswer(sent: Failure, policy: Policy, serviceError: unknown): JobError {
  const error = believeError(sent, policy.maxAgeMs);
  if (error.code !== 'UNEXPECTED') return error;
  if (outOfMemory.test(error.message)) return retry('SANDBOX_OOM', error.message, 0, { cause: error });
  if (tooLarge.test(error.message)) return giveUp('LIMIT_EXCEEDED', error.message, { cause: error });
  if (serviceError === undefined) return error;
  return new JobError(error.code, error.message, error.verdict, { cause: serviceError });
}

function errorOfExcess(excess: Excess, output: string): JobError {
  switch (excess.what) {
    case 'memory':
      return retry('SANDBOX_OOM', excess.sentence);
    case 'processes':
      return retry('SANDBOX_CRASH', withOutput(excess.sentence, output));
    case 'cpu':
      return retry('SANDBOX_TIMEOUT', excess.sentence);
    case 'disk':
    case 'files':
      return giveUp('LIMIT_EXCEEDED', excess.sentence);
  }
}

/** What unshare of util-linux up to 2.38 says, with exit code 1, of a child that a SIGKILL ended. */
const killedInside = /^unshare: sigprocmask unblock failed: Invalid argument\n?/m;

/** `exitCode` 128 + n is how a link of the chain says that a signal ended the next one. */
function errorOfExit(exitCode: number | null, signal: NodeJS.Signals | null, output: string): JobError {
  if (exitCode === 1 && killedInside.test(output))
    return errorOfExit(null, 'SIGKILL', output.replace(killedInside, ''));
  const how = signal ?? (exitCode !== null && exitCode > 128 ? `signal ${exitCode - 128}` : `exit code ${exitCode}`);
  if (outOfMemory.test(output))
    return retry('SANDBOX_OOM', withOutput(`The child ran out of memory (${how}).`, output));
  if (signal === 'SIGXCPU' || exitCode === 128 + 24) {
    return retry('SANDBOX_TIMEOUT', 'The child used up its CPU limit.');
  }
  if (signal === 'SIGXFSZ' || exitCode === 128 + 25) {
    return giveUp('LIMIT_EXCEEDED', 'The child wrote a file larger than its folder may be.');
  }
  const guess = signal === 'SIGKILL' || exitCode === 128 + 9 ? ' (out of memory?)' : '';
  return retry('SANDBOX_CRASH', withOutput(`The child ended without an answer: ${how}${guess}.`, output));
}

const withOutput = (sentence: string, output: string): string =>
  output.trim() === '' ? sentence : `${sentence} Last output: ${output.trim().slice(-1_500)}`;
