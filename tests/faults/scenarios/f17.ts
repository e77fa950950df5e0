import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { removeLeftovers } from '../../../workers/isolate/folders.ts';
import type { Arena } from '../arena.ts';
import { spread } from '../figures.ts';
import { bombEvery, bombRound } from '../jobs/caged/bombs.ts';
import type { SideResult } from '../judge-run.ts';
import { logPaths, readLog, type StateLine } from '../logs.ts';
import { type Load, numberOf, workOf } from '../plan.ts';
import type { Scenario } from '../scenario.ts';
import { allPids } from '../servers.ts';

/** These run before the first bomb: how long an innocent takes alone. */
const alone = 4 * bombEvery;
/** Of the job type, with its grace. */
const limitMs = 5_500;

export const scenario: Scenario = {
  title:
    'children with every bomb (heap, memory, processes, output, disk, answers, spin, signals), a worker killed among them, beside innocents',
  stores: ['redis', 'postgres', 'embedded'],
  load: {
    type: 'caged',
    rate: 8,
    most: alone + bombRound,
    ms: [20, 40],
    special: { every: bombEvery, act: 'bomb', isBad: true, from: alone },
  },
  workers: 2,
  concurrency: 3,
  withoutStock: 'a forked processor that spins keeps its slot for ever (B11): a run would not end',
  async inject(arena) {
    const workers = new Set<number>();
    const look = setInterval(() => arena.workers.forEach(({ pid }) => workers.add(pid)), 100);
    // Until the last bomb is sent.
    await wait(((alone + bombRound) / 8) * 500);
    const victim = arena.pick();
    arena.note('inject', 'SIGKILL of a worker with its children');
    if (victim !== undefined) await arena.kill(victim);
    await wait(((alone + bombRound) / 8) * 500);
    clearInterval(look);
    arena.facts.set('workers', workers.size);
    for (const [n, pid] of [...workers].entries()) arena.facts.set(`worker ${n}`, pid);
  },
  targets: (ours, arena) => {
    const { innocentAlone, innocentBeside, bomb } = durations(ours, arena);
    return [
      { what: 'longest run of a bomb', measured: bomb, limit: limitMs + 2_000, unit: 'ms' },
      { what: 'event loop of a worker, p99', measured: ours.loopP99Ms, limit: 50, unit: 'ms' },
      {
        what: `innocent beside bombs, p50 (alone ${innocentAlone} ms)`,
        measured: innocentBeside,
        limit: 3 * innocentAlone,
        unit: 'ms',
      },
    ];
  },
  async problems({ counts, crashes }, arena) {
    return [
      ...(crashes > 0 ? [`${crashes} workers ended`] : []),
      ...(counts.deadLettered === counts.plannedBad
        ? []
        : [`${counts.deadLettered} dead letters, expected the ${counts.plannedBad} bombs`]),
      ...(await leftProcesses(arena)),
      ...(await leftFolders(arena.folder)),
    ];
  },
};

function durations({ records }: SideResult, { folder, load }: Arena) {
  const claimed = new Map<string, number>();
  const took = new Map<string, number>();
  for (const { event, id, t } of readLog<StateLine>(logPaths(folder).state)) {
    if (event === 'claimed') claimed.set(id, t);
    else if (event !== 'started') took.set(id, Math.max(took.get(id) ?? 0, t - (claimed.get(id) ?? t)));
  }
  const of = (belongs: (load: Load, key: string) => boolean) =>
    records.flatMap(({ id, key }) => (belongs(load, key) ? [took.get(id) ?? 0] : []));
  const isBomb = (key: string) => workOf(load, key).act === 'bomb';
  return {
    innocentAlone: spread(of((_load, key) => !isBomb(key) && numberOf(key) < alone)).p50,
    innocentBeside: spread(of((_load, key) => !isBomb(key) && numberOf(key) >= alone)).p50,
    bomb: spread(of((_load, key) => isBomb(key))).max,
  };
}

/** Whatever a child of one of the workers started bears its mark. All workers are gone by now. */
async function leftProcesses({ facts }: Arena): Promise<string[]> {
  const marks = Array.from(
    { length: facts.get('workers') ?? 0 },
    (_, n) => `JOBFLEET_CHILD=${facts.get(`worker ${n}`)}-`,
  );
  const left = () => allPids().filter((pid) => marks.some((mark) => environmentOf(pid).includes(mark)));
  // What a signal has reached takes a moment to go.
  for (let tries = 0; tries < 20 && left().length > 0; tries += 1) await wait(100);
  const pids = left();
  return pids.length === 0 ? [] : [`${pids.length} processes of bombs are left: ${pids.join(', ')}`];
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return ''; // it ended, or is another user's
  }
}

/** A worker that was killed leaves the folders of its children to its successor, which begins with this. */
async function leftFolders(folder: string): Promise<string[]> {
  const base = (await readdir(folder)).find((name) => name.startsWith('jobfleet-'));
  if (base === undefined) return ['the children had no folders'];
  await removeLeftovers(join(folder, base));
  const left = await readdir(join(folder, base));
  return left.length === 0 ? [] : [`${left.length} entries are left in the folder of the children: ${left.join(', ')}`];
}
