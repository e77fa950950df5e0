import { setTimeout as wait } from 'node:timers/promises';
import { type EffectLine, logPaths, readLog } from '../logs.ts';
import type { Scenario } from '../scenario.ts';

const tickMs = 1_000;
/** Ticks this close to the end may still be on their way. */
const tailMs = 12_000;

export const scenario: Scenario = {
  title: 'a schedule of one tick a second, four instances that declare it; killed at random, then all started at once',
  stores: ['redis', 'postgres', 'embedded'],
  load: { rate: 5, isScheduled: true },
  workers: 4,
  withoutStock: 'its schedulers promise no run for ticks nobody was there for',
  async inject(arena) {
    await arena.every(2_000, async () => {
      const victim = arena.pick();
      if (victim !== undefined) await arena.kill(victim);
    });
    arena.supervise(false);
    await Promise.all(arena.workers.slice().map((worker) => arena.kill(worker)));
    await wait(3_000);
    await arena.refill();
    await wait(tailMs + 8_000);
    const slots = slotsOf(arena.folder);
    const until = Date.now() - tailMs;
    const inside = [...slots.keys()].filter((slot) => slot <= until).toSorted((a, b) => a - b);
    const [first = 0] = inside;
    arena.facts.set('slots', inside.length);
    arena.facts.set('missing', inside.length === 0 ? 1 : Math.floor((until - first) / tickMs) + 1 - inside.length);
    arena.facts.set('double', inside.filter((slot) => slots.get(slot) !== 1).length);
  },
  problems: (_ours, { facts }) =>
    (['missing', 'double'] as const)
      .filter((what) => (facts.get(what) ?? 0) !== 0)
      .map((what) => `${facts.get(what)} of ${facts.get('slots')} ticks ${what}`),
};

/** How often the run of each slot was applied. */
function slotsOf(folder: string): Map<number, number> {
  const slots = new Map<number, number>();
  for (const { id, event } of readLog<EffectLine>(logPaths(folder).effects)) {
    const slot = /^tick_s(\d+)/.exec(id)?.[1];
    if (slot === undefined || event !== 'applied') continue;
    slots.set(Number(slot), (slots.get(Number(slot)) ?? 0) + 1);
  }
  return slots;
}
