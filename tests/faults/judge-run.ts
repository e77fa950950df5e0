/** What the logs of one side say when its run is over: counts, findings, times, noise. */
import { type Counts, check, type FinalRecord, type Finding } from './checker.ts';
import { judgeCounters, judgeSamples } from './conservation.ts';
import { gaps, pickUpTimes, recoveryTimes, resumeTimes, type Spread, spread } from './figures.ts';
import {
  type EffectLine,
  type FaultLine,
  logPaths,
  type ProducerLine,
  readLog,
  type SampleLine,
  type StateLine,
  type VitalsLine,
} from './logs.ts';
import { judgeNoise, loudLines, measureNoise, type Noise } from './noise.ts';
import { isBad, workOf } from './plan.ts';
import { waitingOf } from './records.ts';
import type { SideSettings } from './side.ts';

export interface SideResult extends Noise {
  readonly counts: Counts;
  readonly findings: readonly Finding[];
  readonly recoveryMs: Spread;
  /** From each heal to the next start of a handler. */
  readonly resumeMs: Spread;
  /** From when a job could have run to its first start. */
  readonly waitMs: Spread;
  readonly acceptGapMs: number;
  readonly startGapMs: number;
  /** Most jobs at once that nobody had taken up, at a look a second. */
  readonly backlogPeak: number;
  /** From the end of the load to the last job's end. */
  readonly drainMs: number;
  /** False: jobs were still open when the drain had to end. */
  readonly isDrained: boolean;
  /** Workers that ended without being asked. */
  readonly crashes: number;
  readonly deadByCause: Readonly<Record<string, number>>;
  readonly interruptions: Readonly<Record<string, number>>;
  /** From the first fault to the first line of a worker that says so; undefined where none is expected or none came. */
  readonly alertMs: number | undefined;
  /** Of the worker that had most. */
  readonly rssMb: number;
  readonly fds: number;
  readonly sockets: number;
  readonly loopP99Ms: number;
  /** The load. */
  readonly seconds: number;
  readonly records: readonly FinalRecord[];
}

export interface Run {
  readonly settings: SideSettings;
  readonly records: readonly FinalRecord[];
  readonly alert: RegExp | undefined;
  /** Epoch ms. */
  readonly loadedAt: number;
  readonly healedAt: number;
  readonly drainMs: number;
  readonly isDrained: boolean;
}

const attemptsAllowed = 4;

export function judgeRun({ settings, records, alert, loadedAt, healedAt, drainMs, isDrained }: Run): SideResult {
  const { folder, load } = settings;
  const paths = logPaths(folder);
  const producer = readLog<ProducerLine>(paths.producer);
  const states = readLog<StateLine>(paths.state);
  const faults = readLog<FaultLine>(paths.faults);
  const samples = readLog<SampleLine>(paths.samples);
  const vitals = readLog<VitalsLine>(paths.vitals);
  const { counts, findings } = check({
    producer,
    states,
    effects: readLog<EffectLine>(paths.effects),
    records,
    plan: (key) => {
      const { effect } = workOf(load, key);
      return { ...(effect === 'none' ? {} : { effect }), bad: isBad(load, key) };
    },
    attemptsAllowed,
  });
  const noise = measureNoise(folder, vitals, (healedAt - loadedAt + drainMs) / 1_000);
  const gap = gaps(producer, states, loadedAt, healedAt);
  const ended = new Set(faults.filter(({ event }) => event === 'exit').map(({ actor }) => actor));
  const most = (field: 'fds' | 'loopP99Ms' | 'rssMb' | 'sockets') => Math.max(0, ...vitals.map((line) => line[field]));
  return {
    ...noise,
    counts,
    findings: [
      ...findings,
      ...judgeSamples(samples),
      ...judgeCounters(vitals, states, records, ended),
      ...judgeNoise(noise),
    ],
    recoveryMs: spread(recoveryTimes(faults, states)),
    resumeMs: spread(resumeTimes(faults, states)),
    waitMs: spread(pickUpTimes(producer, states, 0, load.delayMs)),
    acceptGapMs: gap.acceptMs,
    startGapMs: gap.startMs,
    backlogPeak: Math.max(0, ...samples.map((sample) => waitingOf(sample.counts))),
    drainMs,
    isDrained,
    crashes: faults.filter((line) => line.event === 'exit' && line.id === 'unasked').length,
    deadByCause: countBy(records.filter(({ state }) => state === 'failed').map(({ reason = '' }) => causeOf(reason))),
    interruptions: countBy(records.flatMap(({ run }) => run?.causes.map(({ cause }) => cause) ?? [])),
    alertMs: alert === undefined ? undefined : alertTime(folder, faults, alert),
    rssMb: most('rssMb'),
    fds: most('fds'),
    sockets: most('sockets'),
    loopP99Ms: most('loopP99Ms'),
    seconds: Math.round((healedAt - loadedAt) / 1_000),
    records,
  };
}

/** Its code, where the message begins with one. */
const causeOf = (reason: string): string => /^[A-Z][A-Z0-9_]+(?=:)/.exec(reason)?.[0] ?? reason.slice(0, 60);

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function alertTime(folder: string, faults: readonly FaultLine[], alert: RegExp): number | undefined {
  const from = faults.find(({ event }) => event === 'inject')?.t;
  if (from === undefined) return undefined;
  const times = loudLines(folder).flatMap(({ t, text }) =>
    t !== undefined && t >= from && alert.test(text) ? [t] : [],
  );
  return times.length === 0 ? undefined : Math.min(...times) - from;
}
