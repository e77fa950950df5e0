/**
 * Judging `postmaster.pid` and the lock file of the socket. PostgreSQL takes any living process of its own user for the
 * old postmaster and refuses to start, which after a reboot or in a new container is a stranger: so we look first.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { link, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { codeOf, unless } from './errors.ts';

/** What is known of a running process; undefined when there is none of that number (or only its exit status is left). */
export interface Process {
  readonly args: readonly string[];
  /** Its working directory, where the system tells. */
  readonly cwd?: string;
}

export type PidFile =
  | { readonly state: 'absent' }
  /** Nothing in it yet: a server writes its number right after making the file, or died in between. */
  | { readonly state: 'empty'; readonly ageMs: number }
  /** The server of this directory lives: starting, serving or stopping. */
  | { readonly state: 'ours'; readonly pid: number }
  /** That number is nobody's: PostgreSQL itself takes such a file over. */
  | { readonly state: 'dead'; readonly pid: number }
  /** That number now belongs to another program. */
  | { readonly state: 'stranger'; readonly content: string };

/** The process number in the first line; undefined when there is none. PostgreSQL's single-user mode notes it negative. */
export function parsePid(content: string): number | undefined {
  const pid = Math.abs(Number.parseInt(content.split('\n', 1)[0] ?? '', 10));
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

/** Whether `process` is the postmaster of `dataDir`: a postgres started with our `-D`, or one that works in it. */
export function isServerOf(dataDir: string, process: Process | undefined): boolean {
  const program = basename(process?.args[0] ?? '');
  if (process === undefined || !/^(postgres|postmaster)(\.exe)?$/.test(program)) return false;
  const at = process.args.indexOf('-D');
  if (at > 0 && process.args[at + 1] === dataDir) return true;
  return process.cwd === dataDir;
}

/** The verdict on a lock file's content. */
export function judge(dataDir: string, content: string, ageMs: number, process: Process | undefined): PidFile {
  const pid = parsePid(content);
  if (content.trim() === '') return { state: 'empty', ageMs };
  if (pid === undefined) return { state: 'stranger', content };
  if (process === undefined) return { state: 'dead', pid };
  return isServerOf(dataDir, process) ? { state: 'ours', pid } : { state: 'stranger', content };
}

/** Reads and judges the lock file at `path` of the store in `dataDir`. */
export async function readPidFile(path: string, dataDir: string): Promise<PidFile> {
  const read = await unless(['ENOENT'], async () => ({
    content: await readFile(path, 'utf8'),
    // A file of the future is as old as the clock was wrong.
    ageMs: Math.abs(Date.now() - (await stat(path)).mtimeMs),
  }));
  if (read === undefined) return { state: 'absent' };
  const pid = parsePid(read.content);
  return judge(dataDir, read.content, read.ageMs, pid === undefined ? undefined : await findProcess(pid));
}

/** The process of that number, undefined when it does not run. */
export async function findProcess(pid: number): Promise<Process | undefined> {
  if (process.platform !== 'linux') return await findProcessByPs(pid);
  const line = await unless(['ENOENT', 'ESRCH'], () => readFile(`/proc/${pid}/cmdline`, 'utf8'));
  // An ended process whose parent has not asked for its status has no arguments any more; a kernel thread never had.
  if (line === undefined || line === '') return undefined;
  // Of a process of another user the system does not tell.
  const cwd = await unless(['ENOENT', 'ESRCH', 'EACCES', 'EPERM'], () => readlink(`/proc/${pid}/cwd`));
  return { args: line.split('\0'), ...(cwd === undefined ? {} : { cwd }) };
}

async function findProcessByPs(pid: number): Promise<Process | undefined> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'args=', '-p', String(pid)]);
    const line = stdout.trim();
    if (line === '') return undefined;
    // One line without quotes: both paths may hold blanks, so it is cut at the option we start every server with.
    const at = line.indexOf(' -D ');
    return { args: at < 0 ? [line] : [line.slice(0, at), '-D', line.slice(at + 4)] };
  } catch (error) {
    // ps answers 1 when there is no such process.
    if (error instanceof Error && 'code' in error && error.code === 1) return undefined;
    throw error;
  }
}

/**
 * Takes a lock file away that was judged as `content`. Another process may have done so first and started a server
 * meanwhile: so the file is moved aside, compared, and put back when it is not the one that was judged.
 */
export async function dropPidFile(path: string, content: string): Promise<void> {
  const aside = `${path}.stale-${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(aside, 'utf8')) !== content) await unless(['EEXIST'], () => link(aside, path));
  await rm(aside, { force: true });
}
