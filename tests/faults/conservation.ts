/** Jobs neither vanish nor appear while a run lasts, and what workers count is what the store holds when it is over. */
import type { FinalRecord, Finding } from './checker.ts';
import type { SampleLine, StateLine, VitalsLine } from './logs.ts';
import { allOf } from './records.ts';

/** Each look at the store lies between what was accepted before it and what was asked for by its end. */
export function judgeSamples(samples: readonly SampleLine[]): Finding[] {
  return samples.flatMap(({ t, counts, accepted, called }) => {
    const held = allOf(counts);
    if (held >= accepted && held <= called) return [];
    const detail = `the store holds ${held}: ${JSON.stringify(counts)}; ${accepted} accepted, ${called} asked for`;
    return [{ kind: 'conservation' as const, id: `sample at ${t}`, detail }];
  });
}

/**
 * Each worker's own counter, as it last said it, against the ends of it that the store accepted. Workers that were
 * killed said it up to a second before: theirs may be behind, never ahead by more than ends whose answer was lost.
 */
export function judgeCounters(
  vitals: readonly VitalsLine[],
  states: readonly StateLine[],
  records: readonly FinalRecord[],
  ended: ReadonlySet<number>,
): Finding[] {
  const last = new Map(vitals.filter(({ completed }) => completed !== undefined).map((line) => [line.actor, line]));
  if (last.size === 0) return [];
  const completed = new Set(records.filter(({ state }) => state === 'completed').map(({ id }) => id));
  const heard = new Map<number, number>();
  const told = new Set<string>();
  for (const { actor, event, id } of states) {
    if (event !== 'completed' || !completed.has(id)) continue;
    heard.set(actor, (heard.get(actor) ?? 0) + 1);
    told.add(id);
  }
  // The store took these ends, and the worker was never told.
  const unheard = [...completed].filter((id) => !told.has(id)).length;
  return Array.from(last).flatMap(([actor, line]) => {
    const own = line.completed ?? 0;
    const events = heard.get(actor) ?? 0;
    const isBehind = own < events && !ended.has(actor);
    if (!isBehind && own <= events + unheard) return [];
    const detail = `its counter says ${own} completed, the store accepted ${events} from it (${unheard} without an answer)`;
    return [{ kind: 'conservation' as const, id: `worker ${actor}`, detail }];
  });
}
