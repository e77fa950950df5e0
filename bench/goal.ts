/** What a bench answers: one line per goal of the table in bench/README.md, ours beside theirs from the same run. */
import { cpus } from 'node:os';

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
  readonly machine: string;
  /** RFC 3339 date of the run. */
  readonly date: string;
}

export interface BenchOptions {
  /** Three rounds and small numbers, for CI. */
  readonly quick: boolean;
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
  readonly oursCpu?: number;
  readonly theirsCpu?: number;
}

/** Medians and spread of the rounds of one goal. */
export function goal(facts: Pick<Goal, 'goal' | 'name' | 'backend'>, rounds: readonly Round[]): Goal {
  const ratios = rounds.map((round) => round.ours / round.theirs);
  const cpu = rounds.flatMap((round) =>
    round.oursCpu !== undefined && round.theirsCpu !== undefined ? [round.oursCpu / round.theirsCpu] : [],
  );
  return {
    ...facts,
    ours: median(rounds.map((round) => round.ours)),
    theirs: median(rounds.map((round) => round.theirs)),
    ratio: median(ratios),
    cpuRatio: cpu.length === 0 ? null : median(cpu),
    spread: [Math.min(...ratios), Math.max(...ratios)],
    machine: machine(),
    date: new Date().toISOString(),
  };
}
