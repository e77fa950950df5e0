/**
 * The folder of each child, 0700, and beside it `<folder>.owner`, which says whose it is and is there first. A worker
 * that was killed leaves both; the next start removes them and ends what still runs in them.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { chmod, chown, lstat, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { bootId, carries, isRunning, scanProcesses, startTicksOf } from './processes.ts';

export interface ChildFolder {
  readonly path: string;
  /** Unique on this machine: the value of `JOBFLEET_CHILD`. */
  readonly marker: string;
  /** Removes the folder with everything in it, whatever modes the child left there. */
  remove(): Promise<void>;
}

const owner = z.object({
  pid: z.int(),
  startTicks: z.number(),
  bootId: z.string(),
  marker: z.string(),
  userId: z.int().optional(),
});

/** Makes the folder all children's folders are in. Throws when somebody else's file or folder is there. */
export async function openBase(base: string): Promise<void> {
  await mkdir(base, { recursive: true, mode: 0o711 });
  const facts = await lstat(base);
  const me = process.getuid?.();
  if (!facts.isDirectory() || (me !== undefined && facts.uid !== me)) {
    throw new Error(`${base} must be a folder of user ${me}, it belongs to ${facts.uid}; remove it or choose another`);
  }
  // Children under ids of their own pass through, and list nothing.
  await chmod(base, 0o711);
}

export async function makeFolder(base: string, userId: number | undefined): Promise<ChildFolder> {
  const name = `job-${randomBytes(6).toString('hex')}`;
  const path = join(base, name);
  const marker = `${process.pid}-${name}`;
  const startTicks = startTicksOf(process.pid) ?? 0;
  const said = JSON.stringify({ pid: process.pid, startTicks, bootId: bootId(), marker, userId });
  // In one go: a worker that is killed in between would leave a file that says nothing.
  writeFileSync(`${path}.owner`, said, { flag: 'wx' });
  await mkdir(path, { mode: 0o700 });
  if (userId !== undefined) await chown(path, userId, userId);
  return {
    path,
    marker,
    async remove() {
      await removeTree(path);
      await rm(`${path}.owner`, { force: true });
    },
  };
}

async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')))
      throw error;
    // A child without an id of its own may have taken our rights to its folders away.
    await openTree(path);
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function openTree(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await openTree(join(path, entry.name));
  }
}

/** Ends the processes and removes the folders of workers that are gone. Answers how many folders there were. */
export async function removeLeftovers(base: string): Promise<number> {
  const names = await readdir(base);
  const folders = new Set(names.filter((name) => /^job-\w+$/.test(name)));
  for (const name of names) if (name.endsWith('.owner')) folders.add(name.slice(0, -'.owner'.length));
  let removed = 0;
  for (const name of folders) {
    const path = join(base, name);
    const owned = await readOwner(`${path}.owner`);
    if (owned !== undefined && isAlive(owned)) continue;
    if (owned !== undefined) await endMarked(owned);
    await removeTree(path);
    await rm(`${path}.owner`, { force: true });
    removed += 1;
  }
  return removed;
}

type Owner = z.output<typeof owner>;

/** Undefined: nobody says so, and nobody will. A worker that writes it now has done so in a moment. */
async function readOwner(path: string): Promise<Owner | undefined> {
  for (let tries = 0; tries < 20; tries += 1) {
    const text = await readIfThere(path);
    if (text === undefined) return undefined;
    const found = parseOwner(text);
    if (found !== undefined) return found;
    await wait(50);
  }
  return undefined;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Undefined for what is not whole. */
function parseOwner(text: string): Owner | undefined {
  try {
    return owner.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function isAlive(owned: Owner): boolean {
  return owned.bootId === bootId() && isRunning(owned.pid, owned.startTicks);
}

async function endMarked(owned: Owner): Promise<void> {
  if (owned.bootId !== bootId()) return;
  for (let round = 0; round < 20; round += 1) {
    const table = await scanProcesses();
    const left = [...table.values()].filter((it) => !it.isDead && carries(it.pid, owned.marker, owned.userId));
    if (left.length === 0) return;
    for (const facts of left) {
      if (startTicksOf(facts.pid) === facts.startTicks) process.kill(facts.pid, 'SIGKILL');
    }
  }
}
