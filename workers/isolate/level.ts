/** Finds the strongest level this machine allows, by starting a small child with each. About 0.1 s where the first one works. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultPolicy } from '../../jobs/policy.ts';
import { makeFolder } from './folders.ts';
import { type Confinement, commandLine, type Level, levels, type Place } from './limits.ts';
import { randomUserId } from './user-ids.ts';

export interface FoundLevel extends Confinement {
  /** One sentence for each stronger level that was tried and refused; `doctor` shows them. */
  readonly refused: readonly string[];
}

export interface LevelSearch {
  /** A folder the children's folders are made in. */
  readonly base: string;
  readonly readable: readonly string[];
  /** A file of the program, to see that a user id of its own can read it. */
  readonly entry: string;
  readonly path: string;
  /** Try nothing stronger than this. Default `bwrap`. */
  readonly atMost?: Level;
}

// By its whole path: every folder above must let the child pass.
const probe = `const fs = require('node:fs');
try {
  fs.accessSync(process.argv[1], fs.constants.R_OK);
  fs.writeFileSync(process.argv[2] + '/probe', 'ok');
} catch (error) {
  process.stderr.write(error.message);
  process.exit(1);
}`;

export async function findLevel(search: LevelSearch): Promise<FoundLevel> {
  const refused: string[] = [];
  if (process.platform !== 'linux') {
    return { level: 'none', hasOwnUser: false, refused: [`${process.platform} has no way to confine a child`] };
  }
  const isRoot = process.getuid?.() === 0;
  const allowed = levels.slice(1, levels.indexOf(search.atMost ?? 'bwrap') + 1).toReversed();
  for (const hasOwnUser of isRoot ? [true, false] : [false]) {
    for (const level of allowed) {
      const problem = await tryLevel({ level, hasOwnUser }, search);
      if (problem === undefined) return { level, hasOwnUser, refused };
      refused.push(`${level}${hasOwnUser ? ' with a user id of its own' : ''}: ${problem}`);
    }
  }
  return { level: 'none', hasOwnUser: false, refused };
}

/** Undefined when a child started that way runs, reads the program and writes its folder; else why not. */
async function tryLevel(confinement: Confinement, search: LevelSearch): Promise<string | undefined> {
  const userId = confinement.hasOwnUser ? randomUserId(new Set()) : undefined;
  const made = await makeFolder(search.base, userId);
  const folder = made.path;
  try {
    const place: Place = { folder, readable: search.readable, userId, hasNetwork: false };
    const node = [process.execPath, '-e', probe, search.entry, folder];
    const [file = '', ...rest] = commandLine(confinement, defaultPolicy.child, place, node);
    const problem = await run(file, rest, { cwd: folder, path: search.path });
    if (problem !== undefined) return problem;
    return (await readFile(join(folder, 'probe'), 'utf8')) === 'ok' ? undefined : 'the child wrote something else';
  } finally {
    await made.remove();
  }
}

function run(file: string, rest: string[], place: { cwd: string; path: string }): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { cwd: place.cwd, env: { PATH: place.path }, timeout: 10_000, killSignal: 'SIGKILL' as const };
    execFile(file, rest, options, (error, _stdout, stderr) => {
      if (error === null) resolve(undefined);
      else resolve((stderr.trim().split('\n').at(-1) ?? '').slice(0, 200) || error.message.slice(0, 200));
    });
  });
}
