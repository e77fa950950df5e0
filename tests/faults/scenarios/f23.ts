import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Arena, WorkerProcess } from '../arena.ts';
import { logPaths, type ProducerLine, readLog, type StateLine } from '../logs.ts';
import type { Scenario } from '../scenario.ts';
import { caughtUp } from '../tick-watch.ts';

const delayMs = 4_000;
const shift = new URL('../shift-clock.js', import.meta.url).href;
const offsets = ['65', '-65'];
/** A claim that is on its way when the clock is set. */
const graceMs = 500;
const alert = /"level":"error".*The clock of this machine is .*not claiming/;
/** Within so long a worker claims again when its clock is right. */
const againMs = 30_000;

export const scenario: Scenario = {
  title:
    'two of six workers run 65 minutes ahead and behind, the clocks of two others are set so while they work and set right later; every job is due in 4 s, a schedule ticks',
  stores: ['redis', 'postgres', 'embedded'],
  load: { rate: 20, delayMs, isScheduled: true },
  workers: 2,
  isLight: true,
  async inject(arena) {
    const startedAt = Date.now();
    const wrong = await Promise.all(offsets.map((minutes) => startShifted(arena, minutes, minutes)));
    const stepped = await Promise.all(offsets.map((minutes) => startShifted(arena, `step ${minutes}`, '0')));
    const partMs = (arena.seconds * 1_000) / 3;
    await wait(partMs);
    arena.note('inject', 'two clocks are set 65 minutes off');
    const steppedAt = Date.now();
    await Promise.all(offsets.map((minutes) => setClock(arena, `step ${minutes}`, minutes)));
    arena.facts.set('alertMs', await timeToAlert(arena, [...wrong, ...stepped], partMs));
    await wait(Math.max(0, steppedAt + partMs - Date.now()));
    const rightAt = Date.now();
    await Promise.all(offsets.map((minutes) => setClock(arena, `step ${minutes}`, '0')));
    arena.note('heal', 'and right again');
    const between = (workers: readonly WorkerProcess[], from: number, to: number) =>
      claimsOf(arena).filter(({ actor, t }) => t >= from && t < to && workers.some(({ pid }) => pid === actor)).length;
    const claimsAgain = () => between(stepped, rightAt, Number.POSITIVE_INFINITY) > 0;
    while (Date.now() < rightAt + partMs || (!claimsAgain() && Date.now() < rightAt + againMs)) await wait(500);
    arena.facts.set('claimedByWrong', between(wrong, 0, Number.POSITIVE_INFINITY));
    arena.facts.set('claimedBeforeStep', between(stepped, 0, steppedAt));
    arena.facts.set('claimedByStepped', between(stepped, steppedAt + graceMs, rightAt));
    arena.facts.set('claimedAfterwards', between(stepped, rightAt, Number.POSITIVE_INFINITY));
    arena.facts.set('early', countEarly(arena));
    if (arena.side === 'stock') return;
    const span = { from: startedAt + 1_000, until: Date.now() };
    arena.facts.set('tickFindings', (await caughtUp(arena, span, ['tick'])).length);
  },
  targets: (_ours, { facts }) => [
    { what: 'alert after the clock was set', measured: facts.get('alertMs') ?? 0, limit: 2_000, unit: 'ms' },
  ],
  problems: (_ours, { facts }) => {
    const number = (name: string) => facts.get(name) ?? 0;
    return [
      ...(number('claimedByWrong') === 0
        ? []
        : [`workers with a wrong clock claimed ${number('claimedByWrong')} jobs`]),
      ...(number('claimedByStepped') === 0
        ? []
        : [`${number('claimedByStepped')} jobs were claimed after a clock was set`]),
      ...(number('claimedBeforeStep') > 0 ? [] : ['the workers claimed nothing before their clocks were set']),
      ...(number('claimedAfterwards') > 0 ? [] : ['workers whose clock is right again claim nothing']),
      ...(Number.isFinite(number('alertMs')) ? [] : ['not every worker with a wrong clock said so in its log']),
      ...(number('early') === 0 ? [] : [`${number('early')} jobs started more than 2 s early`]),
      ...(facts.get('tickFindings') === 0 && number('tick ran') > 0
        ? []
        : [`of ${number('tick due')} ticks ${number('tick missing')} are missing, ${number('tick double')} ran twice`]),
    ];
  },
};

const clockFile = ({ folder }: Arena, name: string) => join(folder, `clock ${name}`);

async function setClock(arena: Arena, name: string, minutes: string): Promise<void> {
  const path = clockFile(arena, name);
  await rm(path, { force: true });
  await writeFile(path, minutes);
}

async function startShifted(arena: Arena, name: string, minutes: string): Promise<WorkerProcess> {
  await setClock(arena, name, minutes);
  return arena.startWorker({ imports: [shift], environment: { SHIFT_FILE: clockFile(arena, name) } });
}

/** Until each of them has said that its clock is wrong. Their lines bear the wrong time: the file is watched instead. */
async function timeToAlert({ side }: Arena, workers: readonly WorkerProcess[], limitMs: number): Promise<number> {
  const from = Date.now();
  // The peer does not look.
  if (side === 'stock') return 0;
  while (Date.now() < from + limitMs) {
    if (workers.every(({ output }) => alert.test(readFileSync(output, 'utf8')))) return Date.now() - from;
    await wait(50);
  }
  return Number.POSITIVE_INFINITY;
}

function claimsOf({ folder }: Arena): StateLine[] {
  return readLog<StateLine>(logPaths(folder).state).filter(({ event }) => event === 'claimed');
}

/** What started more than 2 s before it was due. */
function countEarly({ folder }: Arena): number {
  const paths = logPaths(folder);
  // A job is due by when its call was made, however late the answer came.
  const called = new Map<string, number>();
  const askedAt = new Map<string, number>();
  for (const { event, id, job, t } of readLog<ProducerLine>(paths.producer)) {
    if (event === 'attempt' && !called.has(id)) called.set(id, t);
    if (event === 'accepted') askedAt.set(job ?? id, called.get(id) ?? t);
  }
  const dueAt = (id: string): number => (askedAt.get(id) ?? 0) + delayMs;
  // The sink writes these, by its own clock.
  return readLog<StateLine>(paths.state).filter(({ event, id, t }) => event === 'started' && t < dueAt(id) - 2_000)
    .length;
}
