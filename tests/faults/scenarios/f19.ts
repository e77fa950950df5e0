import type { Arena } from '../arena.ts';
import type { SideResult } from '../judge-run.ts';
import { logPaths, readLog, type StateLine } from '../logs.ts';
import { loudLines } from '../noise.ts';
import { type Load, workOf } from '../plan.ts';
import type { Scenario } from '../scenario.ts';

const blockMs = 12_000;
/** Promised are 2 s; red only where no crowded machine can be the reason. */
const reportedWithinMs = 4_000;
const blocked = 'The main loop is blocked';

export const scenario: Scenario = {
  title: 'a handler blocks the event loop for 12 s under a lease of 5 s',
  stores: ['redis', 'postgres', 'embedded'],
  load: { rate: 20, ms: [1_000, 2_000], most: 240, special: { every: 120, act: 'block', ms: blockMs, isBad: false } },
  concurrency: 5,
  inject: (arena) => arena.every(1_000, () => undefined),
  targets: (ours, arena) => {
    const times = reportTimes(ours, arena);
    return [
      { what: 'watchdog event after the block began', measured: Math.max(0, ...times), limit: 2_000, unit: 'ms' },
    ];
  },
  problems: (ours, arena) => {
    const { counts, crashes, records } = ours;
    const blocks = blocksOf(records, arena.load).length;
    const reported = reportTimes(ours, arena).filter((ms) => ms < reportedWithinMs).length;
    return [
      ...(crashes > 0 ? [`${crashes} workers ended`] : []),
      ...(counts.starts === counts.accepted
        ? []
        : [`${counts.starts} starts of ${counts.accepted} jobs, expected one each`]),
      ...(reported === blocks ? [] : [`${reported} of ${blocks} blocks were reported within ${reportedWithinMs} ms`]),
    ];
  },
};

/** From the start of each job that blocks to the line of its worker that names it. */
function reportTimes({ records }: SideResult, { folder, load }: Arena): number[] {
  const lines = loudLines(folder).filter(({ text }) => text.includes(blocked));
  const startedAt = new Map<string, number>();
  for (const { event, id, t } of readLog<StateLine>(logPaths(folder).state))
    if (event === 'started') startedAt.set(id, t);
  return blocksOf(records, load).flatMap((id) => {
    const from = startedAt.get(id) ?? Number.POSITIVE_INFINITY;
    const named = lines.find(({ t, text }) => t !== undefined && t >= from && text.includes(`"${id}"`));
    return named?.t === undefined ? [] : [named.t - from];
  });
}

const blocksOf = (records: SideResult['records'], load: Load): string[] =>
  records.flatMap(({ id, key }) => (workOf(load, key).act === 'block' ? [id] : []));
