/** Starting and stopping the server of one data directory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chown, type FileHandle, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Binaries } from './binaries.ts';
import { EmbeddedStoreError, unless } from './errors.ts';
import { dropPidFile, findProcess, isServerOf, readPidFile } from './pid-file.ts';
import { serverSettings } from './settings.ts';
import { type ServerUser, spawnAs } from './user.ts';

export interface ServerHome {
  readonly dataDir: string;
  readonly socketDir: string;
  readonly user: ServerUser;
  readonly durable: boolean;
}

/** A server we started. `ended` is undefined while it runs. */
export interface Started {
  readonly ended: () => Ended | undefined;
}

/** Why a server we started does not run. `again`: another one holds the directory, or backends of a killed one do, or it was stopped. */
export interface Ended {
  readonly again: boolean;
  readonly reason: string;
}

/** An empty lock file is one whose server died before writing it, once it stays empty this long. */
const emptyPidFileMs = 5_000;
const largestLogBytes = 1024 * 1024;

/**
 * Whether a server may be started. Lock files whose number belongs to a stranger are taken away; `wait` while a server
 * of ours is starting or stopping.
 */
export async function clearTheWay({ dataDir, socketDir }: ServerHome): Promise<'start' | 'wait'> {
  for (const path of [pidFileOf(dataDir), join(socketDir, '.s.PGSQL.5432.lock')]) {
    const found = await readPidFile(path, dataDir);
    if (found.state === 'ours') return 'wait';
    if (found.state === 'empty' && found.ageMs < emptyPidFileMs) return 'wait';
    if (found.state === 'empty') await dropPidFile(path, '');
    if (found.state === 'stranger') await dropPidFile(path, found.content);
  }
  return 'start';
}

/** The lock file PostgreSQL keeps in a data directory. */
function pidFileOf(dataDir: string): string {
  return join(dataDir, 'postmaster.pid');
}

/** The number of the running server of `dataDir`; undefined when there is none this process can see. */
export async function serverPidOf(dataDir: string): Promise<number | undefined> {
  const found = await readPidFile(pidFileOf(dataDir), dataDir);
  return found.state === 'ours' ? found.pid : undefined;
}

/** Starts a server in a session of its own: Ctrl-C and a closing terminal reach Node only. It survives this process. */
export async function startServer(home: ServerHome, binaries: Binaries): Promise<Started> {
  await writeSettings(home, binaries.major);
  const log = await openLog(home);
  try {
    const from = (await log.stat()).size;
    const child = spawn(join(binaries.bin, 'postgres'), ['-D', home.dataDir], {
      ...spawnAs(home.user),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    child.unref();
    return watch(child, home.dataDir, from);
  } finally {
    await log.close();
  }
}

function watch(child: ChildProcess, dataDir: string, logFrom: number): Started {
  let ended: Ended | undefined;
  child.once('error', (error) => {
    ended = { again: false, reason: error.message };
  });
  child.once('exit', (code, signal) => {
    const end = signal === null ? `exit code ${code}` : signal;
    void tail(dataDir, logFrom).then((lines) => {
      ended ??= judgeEnd(lines, end);
    });
  });
  return { ended: () => ended };
}

/** Reads the reason out of the server's own words. Pure. */
export function judgeEnd(log: string, end: string): Ended {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  const fatal = lines.filter((line) => /\b(FATAL|PANIC|ERROR)\b/.test(line));
  const again = /lock file ".*" (already exists|is empty)|is still in use|could not (open|remove old) lock file/.test(
    log,
  );
  // What fails before the log is set up names no severity.
  const said = (fatal.at(-1) ?? lines.at(-1))?.replace(/^.*?(FATAL|PANIC|ERROR):\s*/, '');
  // Killed from outside before it could serve: nothing of ours to repair. Exit 0: somebody entered it before us, left as
  // the last one and stopped it.
  return { again: again || end === 'SIGKILL' || end === 'exit code 0', reason: said ?? end };
}

/** What the server wrote since `from` bytes. A log moved aside or removed meanwhile says nothing. */
async function tail(dataDir: string, from: number): Promise<string> {
  const text = await unless(['ENOENT', 'EACCES'], async () => {
    const file = await open(logFileOf(dataDir), 'r');
    try {
      const { size } = await file.stat();
      const length = Math.min(Math.max(size - from, 0), 64 * 1024);
      const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(length), position: size - length });
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  });
  return text ?? '';
}

/** What the server of `dataDir` says; moved to `.1` above 1 MB when a server starts. */
export function logFileOf(dataDir: string): string {
  return join(dataDir, 'server.log');
}

async function openLog({ dataDir, user }: ServerHome): Promise<FileHandle> {
  const path = logFileOf(dataDir);
  const size = (await unless(['ENOENT'], () => stat(path)))?.size ?? 0;
  if (size > largestLogBytes) await unless(['ENOENT'], () => rename(path, `${path}.1`));
  // The directory may be another user's than ours: never follow a link out of it.
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  const file = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  if (user.changed) await file.chown(user.uid, user.gid);
  return file;
}

async function writeSettings({ dataDir, socketDir, user, durable }: ServerHome, major: number): Promise<void> {
  const path = join(dataDir, 'postgresql.conf');
  const next = `${path}.new-${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(next, serverSettings({ major, socketDir, durable }), { flag: 'wx', mode: 0o600 });
    if (user.changed) await chown(next, user.uid, user.gid);
    await rename(next, path);
  } finally {
    await rm(next, { force: true });
  }
}

/**
 * Fast shutdown, as SIGINT means it: open transactions are rolled back, everything is flushed. Waits for the end.
 * False when the server is not to be seen from here (another container's). Throws when it takes longer than `limitMs`.
 */
export async function stopServer(dataDir: string, limitMs = 60_000): Promise<boolean> {
  const pid = await serverPidOf(dataDir);
  if (pid === undefined) return false;
  await unless(['ESRCH'], async () => process.kill(pid, 'SIGINT'));
  const deadline = Date.now() + limitMs;
  while (isServerOf(dataDir, await findProcess(pid))) {
    if (Date.now() > deadline) {
      throw new EmbeddedStoreError(
        `The server of the embedded store (process ${pid}) did not stop within ${limitMs / 1000} s: see ${logFileOf(dataDir)}, then end it with kill -QUIT ${pid}.`,
      );
    }
    await sleep(20);
  }
  return true;
}
