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
  readonly dark?: Dark;
  /** A tick so late has been missed (`skip`). */
  readonly lateAfterMs: number;
}

/** When nobody was there. Epoch ms. */
export interface Dark {
  /** Since then workers or the store were missing at times: ticks that come late to `once` and `skip` swallow the next ones. */
  readonly from: number;
  /** Nobody is left. */
  readonly gone: number;
  /** They are started again. */
  readonly back: number;
}

export interface TickCounts {
  readonly due: number;
  readonly ran: number;
  readonly missing: number;
  readonly double: number;
}

/** By slot: how often it was applied, and when first. */
export type Slots = ReadonlyMap<number, { readonly runs: number; readonly at: number }>;

export function slotsOf(effects: readonly EffectLine[], type: string): Slots {
  const slots = new Map<number, { readonly runs: number; readonly at: number }>();
  for (const { id, event, t } of effects) {
    const slot = event === 'applied' ? readSlotId(id) : undefined;
    if (slot?.type !== type) continue;
    const known = slots.get(slot.slot);
    slots.set(slot.slot, { runs: (known?.runs ?? 0) + 1, at: known?.at ?? t });
  }
  return slots;
}

export function judgeTicks(
  plan: TickPlan,
  slots: Slots,
): { readonly counts: TickCounts; readonly findings: readonly Finding[] } {
  const due = dueTicks(plan);
  const ran = due.filter((slot) => slots.has(slot));
  const double = ran.filter((slot) => slots.get(slot)?.runs !== 1);
  const missing = due.filter((slot) => !slots.has(slot) && !isExcused(plan, slot, ran));
  const findings: Finding[] = [
    ...double.map((slot): Finding => finding('double tick', plan, slot, `${slots.get(slot)?.runs} runs`)),
    ...missing.map((slot): Finding => finding('missing tick', plan, slot, 'no run')),
    ...(plan.dark === undefined ? [] : judgeDark(plan, plan.dark, due, slots)),
  ];
  return { counts: { due: due.length, ran: ran.length, missing: missing.length, double: double.length }, findings };
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

/** Until the first tick that ran after the return, nobody made up for each. */
function isExcused({ dark, missed }: TickPlan, slot: number, ran: readonly number[]): boolean {
  if (missed === 'all' || dark === undefined) return false;
  const resumed = ran.find((one) => one > dark.back);
  return slot > dark.from && resumed !== undefined && slot < resumed;
}

/** Of what was due while nobody was there, at most one runs; `once` makes up for one, `skip` for none that is late. */
function judgeDark(plan: TickPlan, { from, gone, back }: Dark, due: readonly number[], slots: Slots): Finding[] {
  const inside = due.filter((slot) => slot > gone && slot <= back);
  const [first] = inside;
  if (plan.missed === 'all' || first === undefined) return [];
  const isLate = plan.missed === 'skip' && back - first > plan.lateAfterMs;
  const ran = inside.filter((slot) => slots.has(slot));
  if (ran.length > (isLate ? 0 : 1))
    return [finding('double tick', plan, first, `${ran.length} of ${inside.length} missed ticks ran`)];
  // The one may have been due before the last worker went, and not been taken up.
  const madeUp = due.some((slot) => slot > from && slot <= back && (slots.get(slot)?.at ?? 0) >= back);
  if (plan.missed === 'skip' || madeUp) return [];
  return [finding('missing tick', plan, first, `none of ${inside.length} missed ticks was made up for`)];
}
