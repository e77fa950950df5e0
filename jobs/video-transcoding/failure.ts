/** What the last words of ffmpeg or ffprobe mean for the job. Pure. */
import { giveUp, type JobError, retry } from '../errors.ts';

/** How a program ended, with the end of what it wrote to standard error. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

const noSpace = /No space left on device|Disk quota exceeded/;
const overLimit = /exceeds max_streams|exceeds specified max pixel count|File too large/;
const trouble = /Input\/output error|Cannot allocate memory|Resource temporarily unavailable|Too many open files/;
const badSource = new RegExp(
  [
    'Invalid data found',
    'moov atom not found',
    'not on whitelist',
    'Decoder .*not found',
    'no decoder found',
    'Unknown decoder',
    'Could not find codec parameters',
    'does not contain any stream',
    'matches no streams',
    'Invalid argument',
    'Error while decoding',
    'Error (submitting|initializing|opening|reinitializing)',
    'Conversion failed',
    'Output file is empty',
    'not (yet )?implemented',
    'Cannot determine format of input',
    'Error marking filters as finished',
    'Protocol not on whitelist',
    'Failed to read',
    'End of file',
  ].join('|'),
  'i',
);

/** The line that says most, without the paths of this machine; at most 300 characters. */
export function lastWords(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  const line = lines.find((text) => badSource.test(text) || overLimit.test(text)) ?? lines.at(-1) ?? 'no message';
  return line
    .replace(/^(\[[^\]]*\] )+/, '')
    .replace(/(?<![\w/])(file:)?\/[^\s':]+/g, 'the file')
    .slice(0, 300);
}

/** Whether the program says that reading or writing failed, which a demuxer also says of a file that breaks off. */
export function isReadTrouble(stderr: string): boolean {
  return /Input\/output error/.test(stderr);
}

/** LIMIT_EXCEEDED when the messages say that something is over a limit we set; undefined otherwise. */
export function refusalOf(program: string, stderr: string): JobError | undefined {
  return overLimit.test(stderr) ? giveUp('LIMIT_EXCEEDED', `${program}: ${lastWords(stderr)}`) : undefined;
}

/**
 * The verdict on a program that did not end with 0. Killed by a signal, no space, input/output trouble: retried.
 * Words about the data: dead letter. Words we do not know: retried as UNEXPECTED.
 */
export function failureOf(program: string, ended: Ended): JobError | Error {
  const said = lastWords(ended.stderr);
  if (ended.signal === 'SIGXFSZ')
    return giveUp('LIMIT_EXCEEDED', `${program} wrote a file over the size limit of the job`);
  if (noSpace.test(ended.stderr)) return retry('NO_SPACE', `${program}: ${said}`);
  if (ended.signal !== null) return new Error(`${program} was killed by ${ended.signal}; expected it to end by itself`);
  const refused = refusalOf(program, ended.stderr);
  if (refused !== undefined) return refused;
  if (trouble.test(ended.stderr)) return new Error(`${program} exited with ${ended.code}: ${said}`);
  // 69: more than the allowed share of frames did not decode.
  if (ended.code === 69 || badSource.test(ended.stderr)) return giveUp('BAD_SOURCE', `${program}: ${said}`);
  return new Error(`${program} exited with ${ended.code}: ${said}`);
}
