/** What `jobfleet doctor` says of this machine: ports, programs, disk, memory. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { freemem, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Finding } from './finding.ts';

const run = promisify(execFile);
const megabyte = 1_048_576;

/** Whether the processes that take this port by themselves could have it; one of ours that has it already is no trouble. */
export async function checkPort(host: string, port: number): Promise<Finding> {
  const check = `port ${port}`;
  if (port === 0) return { check: 'port', state: 'ok', detail: 'any that is free (PORT=0).' };
  const problem = await refusal(host, port);
  if (problem === undefined) return { check, state: 'ok', detail: `free on ${host}.` };
  if (problem === 'EADDRINUSE' && (await isOurs(host, port)))
    return { check, state: 'ok', detail: `a process of Jobfleet answers on ${host}.` };
  return {
    check,
    state: 'weak',
    detail: `${problem === 'EADDRINUSE' ? 'taken by another program' : problem} on ${host}.`,
    why: 'What is told to listen there does not start.',
    fix: 'Stop that program, or set PORT to a free one.',
  };
}

async function refusal(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  } finally {
    server.close();
  }
}

/** Every process of ours answers here, and says no more. */
async function isOurs(host: string, port: number): Promise<boolean> {
  const anywhere = host === '0.0.0.0' || host === '::';
  const name = anywhere ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  try {
    const answer = await fetch(`http://${name}:${port}/livez`, { signal: AbortSignal.timeout(2_000) });
    return /^\{"status":"(?:ok|unavailable)"/.test(await answer.text());
  } catch {
    return false;
  }
}

/** The release of a program, for a report; whether it will do is said by the job types that need it. */
export async function checkProgram(program: string, neededBy: string): Promise<Finding> {
  try {
    const { stdout, stderr } = await run(program, ['-version'], { timeout: 10_000, maxBuffer: 4 * megabyte });
    const [, version] = /\b(?:version )?n?v?(\d+(?:\.\d+)+\S*)/.exec(stdout || stderr) ?? [];
    return { check: program, state: 'ok', detail: version ?? 'of an unknown version' };
  } catch {
    return { check: program, state: 'missing', detail: `not on the PATH, or it does not start; ${neededBy}.` };
  }
}

/** Room where jobs and stores write. `neededMb`: what one job may take. A folder that is not there yet lies where its parent lies. */
export async function checkDisk(folder: string, neededMb: number, named = folder): Promise<Finding> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder);
    return judgeRoom(
      `disk of ${named}`,
      { freeMb: toMb(bavail * bsize), totalMb: toMb(blocks * bsize), neededMb },
      diskAdvice,
    );
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (isMissing && dirname(folder) !== folder) return checkDisk(dirname(folder), neededMb, named);
    throw error;
  }
}

/** What this machine, or the container it is, has left. `neededMb`: what one child may take. */
export function checkMemory(neededMb: number): Finding {
  const limit = process.constrainedMemory();
  const total = limit > 0 && limit < totalmem() ? limit : totalmem();
  const free = Math.min(freemem(), process.availableMemory());
  return judgeRoom('memory', { freeMb: toMb(free), totalMb: toMb(total), neededMb }, memoryAdvice);
}

interface Room {
  readonly freeMb: number;
  readonly totalMb: number;
  readonly neededMb: number;
}

const diskAdvice = {
  why: 'Jobs that write more end as NO_SPACE, and an embedded store on a full disk accepts nothing.',
  fix: 'Make room, or point DATA_DIR and WORK_DIR at a larger disk.',
};
const memoryAdvice = {
  why: 'The system may end a worker or a child when several jobs need theirs together.',
  fix: 'Lower CONCURRENCY, give this process fewer QUEUES, or give it more memory.',
};

function judgeRoom(check: string, { freeMb, totalMb, neededMb }: Room, advice: typeof diskAdvice): Finding {
  const seen = `${freeMb} MB of ${totalMb} MB free`;
  if (freeMb >= neededMb) return { check, state: 'ok', detail: `${seen}.` };
  return { check, state: 'weak', detail: `${seen}; one job may take ${neededMb} MB.`, ...advice };
}

const toMb = (bytes: number): number => Math.floor(bytes / megabyte);
