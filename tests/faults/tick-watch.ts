/** What became of the ticks of a run, as far as the sink saw them. */
import { setTimeout as wait } from 'node:timers/promises';
import { lateAfterMs } from '../../backends/schedule-record.ts';
import type { Arena } from './arena.ts';
import type { Finding } from './checker.ts';
import { type EffectLine, logPaths, readLog } from './logs.ts';
import { type TickType, ticks, tickTypes } from './schedules.ts';
import { judgeTicks, slotsOf, type TickPlan } from './ticks.ts';

const missed: Readonly<Record<TickType, TickPlan['missed']>> = {
  tick: 'all',
  'tick-once': 'once',
  'tick-skip': 'skip',
};
/** What is due is waited for so long; it runs one after the other. */
const catchUpMs = 120_000;

type Span = Pick<TickPlan, 'dark' | 'from' | 'until'>;

/** What is found at the end: until then a tick that has no run yet is only late. Notes the counts as facts. */
export async function caughtUp(arena: Arena, span: Span, types: readonly TickType[] = tickTypes): Promise<Finding[]> {
  for (const limit = Date.now() + catchUpMs; ; ) {
    const findings = judgeAll(arena, span, types);
    if (!findings.some(({ kind }) => kind === 'missing tick') || Date.now() > limit) return findings;
    await wait(1_000);
  }
}

function judgeAll({ facts, folder }: Arena, span: Span, types: readonly TickType[]): Finding[] {
  const effects = readLog<EffectLine>(logPaths(folder).effects);
  return types.flatMap((type) => {
    const plan = { ...span, type, missed: missed[type], everyMs: ticks[type], lateAfterMs };
    const { counts, findings } = judgeTicks(plan, slotsOf(effects, type));
    for (const [what, count] of Object.entries(counts)) facts.set(`${type} ${what}`, count);
    return [...findings];
  });
}
