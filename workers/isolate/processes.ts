/** Reads /proc: who runs, whose child it is, how much memory and CPU time it has. Linux only; elsewhere the table is empty. */
import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks since boot; with the pid it names a process for good. */
  readonly startTicks: number;
  /** User and system time of this process alone. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** True for a zombie: dead, but not yet collected by its parent. */
  readonly isDead: boolean;
}

export type ProcessTable = ReadonlyMap<number, ProcessFacts>;

/** USER_HZ: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;
/** Processes read in one stretch of the event loop (about 1 ms). */
const batch = 64;

/** Parses /proc/<pid>/stat. The name in parentheses may hold anything, parentheses too. */
export function parseStat(stat: string, pageBytes: number): ProcessFacts | undefined {
  const afterName = stat.lastIndexOf(')');
  const fields = stat.slice(afterName + 2).split(' ');
  const at = (field: number): number => Number(fields[field - 3]);
  const pid = Number.parseInt(stat, 10);
  if (afterName === -1 || !Number.isInteger(pid) || !Number.isFinite(at(24))) return undefined;
  const state = fields[0];
  return {
    pid,
    parent: at(4),
    group: at(5),
    session: at(6),
    startTicks: at(22),
    cpuSeconds: (at(14) + at(15)) / ticksPerSecond,
    residentBytes: at(24) * pageBytes,
    isDead: state === 'Z' || state === 'X',
  };
}

/** Undefined when the process is gone between two looks, or is not ours to read. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

/** Node does not say the page size: it is this process's resident bytes over its resident pages. */
function findPageBytes(): number {
  const pages = Number(readText('/proc/self/statm')?.split(' ')[1] ?? Number.NaN);
  const guess = 2 ** Math.round(Math.log2(process.memoryUsage.rss() / pages));
  return [4_096, 16_384, 65_536].includes(guess) ? guess : 4_096;
}

/** When a process started; undefined when there is none with that pid. Both together name a process for good. */
export function startTicksOf(pid: number): number | undefined {
  return parseStat(readText(`/proc/${pid}/stat`) ?? '', 1)?.startTicks;
}

/** Whether that process still runs; one that is dead and not yet collected by its parent does not. */
export function isRunning(pid: number, startTicks: number): boolean {
  const facts = parseStat(readText(`/proc/${pid}/stat`) ?? '', 1);
  return facts !== undefined && facts.startTicks === startTicks && !facts.isDead;
}

/** All processes this one can see; 1–2 ms per 100, never in one stretch of the loop. */
export async function scanProcesses(): Promise<ProcessTable> {
  const table = new Map<number, ProcessFacts>();
  if (process.platform !== 'linux') return table;
  const pageBytes = findPageBytes();
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  for (const [index, name] of pids.entries()) {
    if (index > 0 && index % batch === 0) await nextTurn();
    const facts = parseStat(readText(`/proc/${name}/stat`) ?? '', pageBytes);
    if (facts !== undefined) table.set(facts.pid, facts);
  }
  return table;
}

/** True when the process was started with that marker in its environment, or runs under that user id. */
export function carries(pid: number, marker: string, userId: number | undefined): boolean {
  if (userId !== undefined) {
    const ids = /^Uid:\s+(\d+)\s+(\d+)/m.exec(readText(`/proc/${pid}/status`) ?? '');
    if (ids !== null && ids.slice(1).some((id) => Number(id) === userId)) return true;
  }
  return (readText(`/proc/${pid}/environ`) ?? '').split('\0').includes(`${markerName}=${marker}`);
}

/** The variable every process of a child inherits, unless it clears its environment. */
export const markerName = 'JOBFLEET_CHILD';

/** `/proc/sys/kernel/random/boot_id`, or `-`: a pid of before the last boot says nothing. */
export function bootId(): string {
  return readText('/proc/sys/kernel/random/boot_id')?.trim() ?? '-';
}
