/**
 * Everybody who belongs to one child: its process group, its session, its descendants, and who carries its marker or its
 * user id. `endGroup` kills them all and comes back when none is left, which is what makes an answer final.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { carries, type ProcessFacts, type ProcessTable, scanProcesses, startTicksOf } from './processes.ts';

export interface Group {
  /** Pid of the first process; also the id of its group and its session. */
  readonly pid: number;
  readonly startTicks: number;
  /** Value of `JOBFLEET_CHILD`. */
  readonly marker: string;
  /** The user id only this child has; undefined where it runs as the worker's user. */
  readonly userId: number | undefined;
  /** `pid:startTicks` of everybody seen so far: who has left the group stays a member. */
  readonly seen: Set<string>;
}

const nameOf = (process: ProcessFacts): string => `${process.pid}:${process.startTicks}`;

/** The group's processes in a table, dead ones left out. Adds them to `seen`. */
export function membersOf(group: Group, table: ProcessTable): ProcessFacts[] {
  const members = new Map<number, ProcessFacts>();
  const isMember = (facts: ProcessFacts): boolean =>
    facts.group === group.pid ||
    facts.session === group.pid ||
    facts.pid === group.pid ||
    members.has(facts.parent) ||
    group.seen.has(nameOf(facts));
  for (let before = -1; before !== members.size; ) {
    before = members.size;
    for (const facts of table.values()) {
      // Nobody of the group is older than its first process: a group id that was free again names strangers.
      if (facts.startTicks >= group.startTicks && !members.has(facts.pid) && isMember(facts)) {
        members.set(facts.pid, facts);
      }
    }
  }
  for (const facts of members.values()) group.seen.add(nameOf(facts));
  return [...members.values()].filter((facts) => !facts.isDead);
}

/** Who left group, session and descent (`setsid` and an early parent's death) but carries the marker or the user id. */
function straysOf(group: Group, table: ProcessTable): ProcessFacts[] {
  const strays: ProcessFacts[] = [];
  for (const facts of table.values()) {
    if (facts.isDead || facts.startTicks < group.startTicks || facts.pid === process.pid) continue;
    if (!group.seen.has(nameOf(facts)) && carries(facts.pid, group.marker, group.userId)) {
      strays.push(facts);
      group.seen.add(nameOf(facts));
    }
  }
  return strays;
}

/** SIGKILL to the process group. False when nobody of it is left. */
export function killGroup(pid: number): boolean {
  try {
    process.kill(-pid, 'SIGKILL');
    return true;
  } catch (error) {
    // EPERM: only members of another user are left (macOS says so for zombies too); the scan finds them.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function killOne(facts: ProcessFacts): void {
  if (startTicksOf(facts.pid) !== facts.startTicks) return;
  try {
    process.kill(facts.pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM'))) throw error;
  }
}

/**
 * Kills the group and everybody who left it, again and again until a scan finds nobody. Answers the processes that are
 * still there after `timeoutMs` (stuck inside the kernel); empty = proven dead. Where /proc is missing (not Linux), the
 * process group alone is proven.
 */
export async function endGroup(group: Group, timeoutMs = 10_000): Promise<readonly ProcessFacts[]> {
  const startedAt = performance.now();
  for (let round = 0; ; round += 1) {
    const isGroupLeft = killGroup(group.pid);
    const table = await scanProcesses();
    if (table.size === 0 && !isGroupLeft) return [];
    const left = [...membersOf(group, table), ...straysOf(group, table)];
    if (table.size > 0 && left.length === 0) return [];
    for (const facts of left) killOne(facts);
    if (performance.now() - startedAt > timeoutMs) return left;
    await wait(round < 5 ? 1 : 10);
  }
}
