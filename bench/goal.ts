/** What a bench answers: one line per goal of the table in bench/README.md, ours beside theirs from the same run. */
import { cpus } from 'node:os';

/** What a figure should be, and what it must not fall behind. Both have slack: a guard that breaks is a regression. */
export interface Target {
  /** `ratio`: ours / theirs; `cpu`: the same of CPU time; `ours`: the figure itself; `more`: ours − theirs. */
  readonly of: 'cpu' | 'more' | 'ours' | 'ratio';
  readonly better: 'higher' | 'lower';
  readonly goal: number;
  /** Absent: nothing fails on this figure. */
  readonly guard?: number;
}

export const atLeast = (goal: number, guard?: number, of: Target['of'] = 'ratio'): Target => ({
  of,
  better: 'higher',
  goal,
  ...(guard === undefined ? {} : { guard }),
});

export const atMost = (goal: number, guard?: number, of: Target['of'] = 'ratio'): Target => ({
  of,
  better: 'lower',
  goal,
  ...(guard === undefined ? {} : { guard }),
});

export type Verdict = 'guard broken' | 'met' | 'missed' | 'no goal';

export interface Goal {
  /** The goal's number, such as `M1`. */
  readonly goal: string;
  /** What was measured, with its unit. */
  readonly name: string;
  /** The store, or `-` where none is involved. */
  readonly backend: string;
  /** Medians over the rounds. */
  readonly ours: number;
  readonly theirs: number;
  /** Median of the per-round ratios, ours / theirs. */
  readonly ratio: number;
  /** The same for CPU time; null where it was not measured. */
  readonly cpuRatio: number | null;
  /** Lowest and highest per-round ratio. */
  readonly spread: readonly [number, number];
  /** None: the line only says what was measured. */
  readonly targets: readonly Target[];
  /** The worst over the targets. */
  readonly verdict: Verdict;
  readonly machine: string;
  /** RFC 3339 date of the run. */
  readonly date: string;
}

export interface BenchOptions {
  /** Three rounds and small numbers, for CI. */
  readonly quick: boolean;
  /** The largest workloads too: minutes each. */
  readonly large: boolean;
  /** Only this store. */
  readonly backend?: string;
}

export function machine(): string {
  const all = cpus();
  return `${all.length} × ${all[0]?.model.trim() ?? 'unknown'}, Node ${process.versions.node}, ${process.platform}`;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** One round: a rate or a time of each side, and their CPU where measured. */
export interface Round {
  readonly ours: number;
  readonly theirs: number;
  readonly oursCpu?: number | undefined;
  readonly theirsCpu?: number | undefined;
}

/** Medians and spread of the rounds of one goal, and what they say of its targets. */
export function goal(
  facts: Pick<Goal, 'goal' | 'name' | 'backend'>,
  rounds: readonly Round[],
  ...targets: readonly Target[]
): Goal {
  const ratios = rounds.map((round) => round.ours / round.theirs);
  const cpu = rounds.flatMap((round) =>
    round.oursCpu !== undefined && round.theirsCpu !== undefined ? [round.oursCpu / round.theirsCpu] : [],
  );
  const figures = {
    ours: median(rounds.map((round) => round.ours)),
    theirs: median(rounds.map((round) => round.theirs)),
    ratio: median(ratios),
    cpuRatio: cpu.length === 0 ? null : median(cpu),
  };
  const more = median(rounds.map((round) => round.ours - round.theirs));
  return {
    ...facts,
    ...figures,
    spread: [Math.min(...ratios), Math.max(...ratios)],
    targets,
    verdict: worst(targets.map((target) => judge(target, { ...figures, cpu: figures.cpuRatio ?? Number.NaN, more }))),
    machine: machine(),
    date: new Date().toISOString(),
  };
}

/** A figure that was not measured misses its goal and breaks its guard. */
export function judge(target: Target, figures: Readonly<Record<Target['of'], number>>): Verdict {
  const figure = figures[target.of];
  const holds = (bound: number): boolean => (target.better === 'higher' ? figure >= bound : figure <= bound);
  if (holds(target.goal)) return 'met';
  return target.guard === undefined || holds(target.guard) ? 'missed' : 'guard broken';
}

function worst(verdicts: readonly Verdict[]): Verdict {
  return (['guard broken', 'missed', 'met'] as const).find((verdict) => verdicts.includes(verdict)) ?? 'no goal';
}

/** A target in words: `CPU ≤ 0.65 (guard 0.75)`. */
export function said({ of, better, goal, guard }: Target): string {
  const what = { cpu: 'CPU ', more: 'more by ', ours: '', ratio: '' }[of];
  const unit = of === 'cpu' || of === 'ratio' ? '×' : '';
  return `${what}${better === 'higher' ? '≥' : '≤'} ${goal}${unit}${guard === undefined ? '' : ` (guard ${guard}${unit})`}`;
}
