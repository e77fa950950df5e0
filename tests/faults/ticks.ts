/** One run for each tick of a schedule, and missed ticks as its policy says. Pure. */
import { readSlotId } from '../../backends/slot-id.ts';
import type { Finding } from './checker.ts';
import type { EffectLine } from './logs.ts';

export interface TickPlan {
  readonly type: string;
  readonly missed: 'all' | 'once' | 'skip';
  readonly everyMs: number;
  /** Ticks in (from, until] are judged, epoch ms. */
  readonly from: number;
  readonly until: number;
  readonly dark: readonly Dark[];
  /** A tick so late has been missed (`skip`). */
  readonly lateAfterMs: number;
}

/** When nobody, or no store, was there. Epoch ms. */
export interface Dark {
  readonly from: number;
  /** They are started again. */
  readonly back: number;
  /** They are at work for certain. */
  readonly to: number;
}

export interface TickCounts {
  readonly due: number;
  readonly ran: number;
  readonly missing: number;
  readonly double: number;
}

/** How often the run of each slot was applied. */
export function slotsOf(effects: readonly EffectLine[], type: string): ReadonlyMap<number, number> {
  const slots = new Map<number, number>();
  for (const { id, event } of effects) {
    const slot = event === 'applied' ? readSlotId(id) : undefined;
    if (slot?.type === type) slots.set(slot.slot, (slots.get(slot.slot) ?? 0) + 1);
  }
  return slots;
}

export function judgeTicks(
  plan: TickPlan,
  slots: ReadonlyMap<number, number>,
): { readonly counts: TickCounts; readonly findings: readonly Finding[] } {
  const due = dueTicks(plan);
  const runs = (slot: number) => slots.get(slot) ?? 0;
  const double = due.filter((slot) => runs(slot) > 1);
  const missing = due.filter((slot) => runs(slot) === 0 && !isExcused(plan, slot));
  const findings: Finding[] = [
    ...double.map((slot): Finding => finding('double tick', plan, slot, `${runs(slot)} runs`)),
    ...missing.map((slot): Finding => finding('missing tick', plan, slot, 'no run')),
    ...plan.dark.flatMap((span) => judgeDark(plan, span, due, runs)),
  ];
  const ran = due.filter((slot) => runs(slot) > 0).length;
  return { counts: { due: due.length, ran, missing: missing.length, double: double.length }, findings };
}

const finding = (kind: Finding['kind'], { type }: TickPlan, slot: number, detail: string): Finding => ({
  kind,
  id: `${type} ${new Date(slot).toISOString()}`,
  detail,
});

/** The rules of the harness tick at whole multiples of their period. */
function dueTicks({ everyMs, from, until }: TickPlan): number[] {
  const first = Math.floor(from / everyMs) * everyMs + everyMs;
  return Array.from({ length: Math.max(0, Math.floor((until - first) / everyMs) + 1) }, (_, n) => first + n * everyMs);
}

const isExcused = ({ dark, missed }: TickPlan, slot: number): boolean =>
  missed !== 'all' && dark.some(({ from, to }) => slot > from && slot <= to);

/** Of what was due in the dark, `once` runs exactly one, `skip` runs that one only while it is not late. */
function judgeDark(
  plan: TickPlan,
  { from, back }: Dark,
  due: readonly number[],
  runs: (slot: number) => number,
): Finding[] {
  const inside = due.filter((slot) => slot > from && slot <= back);
  const [first] = inside;
  if (plan.missed === 'all' || first === undefined) return [];
  const ran = inside.filter((slot) => runs(slot) > 0);
  const wanted = plan.missed === 'skip' && back - first > plan.lateAfterMs ? 0 : 1;
  if (ran.length === wanted) return [];
  const kind = ran.length > wanted ? 'double tick' : 'missing tick';
  return [finding(kind, plan, first, `${ran.length} of ${inside.length} missed ticks ran, expected ${wanted}`)];
}
