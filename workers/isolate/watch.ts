/** One look every 250 ms at all running children: memory and processes of the whole group, bytes and files of the folder. */
import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ChildLimits } from '../../jobs/policy.ts';
import { type Group, membersOf } from './group.ts';
import { type ProcessFacts, scanProcesses } from './processes.ts';

export interface Excess {
  readonly what: 'memory' | 'processes' | 'disk' | 'files' | 'cpu';
  readonly sentence: string;
}

export interface Watched {
  readonly group: Group;
  readonly folder: string;
  readonly limits: ChildLimits;
  /** Called once, on the first look that finds too much. */
  readonly onExcess: (excess: Excess) => void;
}

export interface Watch {
  add(watched: Watched): void;
  remove(watched: Watched): void;
  close(): void;
}

const everyMs = 250;
const maxFiles = 10_000;
/** Files looked at in one stretch of the event loop. */
const batch = 200;
const megabyte = 1_048_576;

/** Pure: which limit the processes of a group exceed, if any. */
export function excessOf(members: readonly ProcessFacts[], limits: ChildLimits): Excess | undefined {
  const residentMb = members.reduce((sum, facts) => sum + facts.residentBytes, 0) / megabyte;
  if (residentMb > limits.memoryMb) {
    const sentence = `The child and its programs use ${Math.round(residentMb)} MB; at most ${limits.memoryMb} are allowed.`;
    return { what: 'memory', sentence };
  }
  if (members.length > limits.processes) {
    const sentence = `The child runs ${members.length} processes; at most ${limits.processes} are allowed.`;
    return { what: 'processes', sentence };
  }
  const cpuSeconds = Math.max(0, ...members.map((facts) => facts.cpuSeconds));
  if (cpuSeconds > limits.cpuSeconds) {
    const sentence = `A process of the child used ${Math.round(cpuSeconds)} s of CPU; at most ${limits.cpuSeconds} are allowed.`;
    return { what: 'cpu', sentence };
  }
  return undefined;
}

/**
 * Allocated bytes below a folder, up to one file past the limit. Symbolic links are counted, never followed. Synchronous
 * calls in stretches of a millisecond: ten times cheaper than a trip to the thread pool for each file.
 */
async function sizeOf(folder: string): Promise<{ readonly bytes: number; readonly files: number }> {
  let bytes = 0;
  let files = 0;
  const waiting = [folder];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const entry of entriesOf(path)) {
      files += 1;
      if (files > maxFiles) return { bytes, files };
      if (files % batch === 0) await nextTurn();
      const inner = join(path, entry.name);
      if (entry.isDirectory()) waiting.push(inner);
      bytes += blocksOf(inner) * 512;
    }
  }
  return { bytes, files };
}

/** Empty for a folder that is gone or that the child has locked; --fsize still bounds each file in it. */
function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** 0 for a file that went away between two calls. */
function blocksOf(path: string): number {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0;
  } catch {
    return 0;
  }
}

async function diskExcess(watched: Watched): Promise<Excess | undefined> {
  const { bytes, files } = await sizeOf(watched.folder);
  if (files > maxFiles) {
    return { what: 'files', sentence: `The job's folder holds more than ${maxFiles} files.` };
  }
  if (bytes <= watched.limits.diskMb * megabyte) return undefined;
  const usedMb = Math.round(bytes / megabyte);
  return {
    what: 'disk',
    sentence: `The job's folder holds ${usedMb} MB; at most ${watched.limits.diskMb} are allowed.`,
  };
}

/** `onError` hears of a look that failed; the next one comes all the same. */
export function createWatch(onError: (error: unknown) => void): Watch {
  const all = new Set<Watched>();
  const measuring = new Set<Watched>();
  let timer: NodeJS.Timeout | undefined;
  const report = (watched: Watched, excess: Excess | undefined): void => {
    if (excess !== undefined && all.delete(watched)) watched.onExcess(excess);
  };
  const look = async (): Promise<void> => {
    const table = await scanProcesses();
    for (const watched of all) {
      if (table.size > 0) report(watched, excessOf(membersOf(watched.group, table), watched.limits));
      // A folder that takes longer than a turn to measure is measured again when it is done.
      if (!all.has(watched) || measuring.has(watched)) continue;
      measuring.add(watched);
      void diskExcess(watched)
        .then((excess) => report(watched, excess), onError)
        .finally(() => measuring.delete(watched));
    }
  };
  const schedule = (): void => {
    timer ??= setTimeout(() => {
      void look()
        .catch(onError)
        .finally(() => {
          timer = undefined;
          if (all.size > 0) schedule();
        });
    }, everyMs);
  };
  return {
    add(watched) {
      all.add(watched);
      schedule();
    },
    remove: (watched) => void all.delete(watched),
    close() {
      all.clear();
      clearTimeout(timer);
    },
  };
}
