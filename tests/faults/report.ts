/** One run as one JSON object, and whether it is red. */
import { countByKind, type Finding, type FindingKind } from './checker.ts';
import type { SideResult } from './judge-run.ts';
import type { Scenario, Target } from './scenario.ts';
import type { StoreName } from './servers.ts';

export interface Outcome {
  readonly name: string;
  readonly scenario: Scenario;
  readonly store: StoreName;
  readonly seed: number;
  /** Jobs a second. */
  readonly rate: number;
  readonly ours: SideResult;
  readonly stock: SideResult | undefined;
  readonly targets: readonly Target[];
  readonly problems: readonly string[];
  readonly facts: Readonly<Record<string, number>>;
  readonly stockFacts: Readonly<Record<string, number>>;
  readonly versions: Readonly<Record<string, string>>;
  /** The whole row, from the first server to the verdict. */
  readonly durationMs: number;
}

/** A row that did not run, and may not have to. */
export interface Skipped {
  readonly name: string;
  readonly store: StoreName;
  readonly skipped: string;
}

/** What a store that loses acknowledged writes may show: the jobs, and with them what was known about their effects. */
const storesFault = new Set<FindingKind>([
  'lost',
  'unexpected',
  'double effect',
  'two verdicts',
  'missing effect',
  'stale write',
  'unexplained start',
  'conservation',
  'missing tick',
  'double tick',
]);

const isExcused = ({ scenario, store }: Pick<Outcome, 'scenario' | 'store'>): boolean =>
  scenario.needsLedger?.includes(store) ?? false;

/** Findings that no missing ledger explains. */
export const unexplained = (outcome: Outcome): readonly Finding[] =>
  outcome.ours.findings.filter(({ kind }) => !isExcused(outcome) || !storesFault.has(kind));

/** Times do not count here: they depend on what else the machine does. */
export const isRed = (outcome: Outcome): boolean =>
  unexplained(outcome).length > 0 || outcome.problems.length > 0 || (!outcome.ours.isDrained && !isExcused(outcome));

export function unmetTargets({ targets }: Outcome): string[] {
  return targets
    .filter(({ measured, limit }) => measured > limit)
    .map(({ what, measured, limit, unit }) => `${what}: ${measured} ${unit}, wanted at most ${limit}`);
}

/** The figures that every row is compared by. */
export interface Figures {
  readonly accepted: number;
  readonly lost: number;
  readonly unexpected: number;
  readonly doubleEffects: number;
  readonly falseDeadLetters: number;
  readonly staleWrites: number;
  /** Nulls: nothing had to be recovered. */
  readonly recoveryMs: { readonly p50: number | null; readonly p95: number | null; readonly max: number | null };
}

function figures({ counts, recoveryMs }: SideResult): Figures {
  const { accepted, lost, unexpected, doubleEffects, falseDeadLetters, staleWrites } = counts;
  const { p50, p95, max, n } = recoveryMs;
  const times = n === 0 ? { p50: null, p95: null, max: null } : { p50, p95, max };
  return { accepted, lost, unexpected, doubleEffects, falseDeadLetters, staleWrites, recoveryMs: times };
}

function details(side: SideResult) {
  const { findings, counts, recoveryMs, records: _records, alertMs = null, ...rest } = side;
  const startsPerEffect = counts.effects === 0 ? null : Math.round((counts.starts / counts.effects) * 1_000) / 1_000;
  return {
    ...counts,
    ...rest,
    alertMs,
    startsPerEffect,
    recovered: counts.recovered,
    recoveries: recoveryMs.n,
    findings: countByKind(findings),
  };
}

type Details = ReturnType<typeof details>;

/** What a file of a folder of results holds. */
export interface Row extends Figures {
  readonly scenario: string;
  readonly title: string;
  readonly store: StoreName;
  readonly seed: number;
  readonly stock: (Figures & { readonly facts: Readonly<Record<string, number>>; readonly details: Details }) | null;
  readonly red: boolean;
  readonly needsLedger: boolean;
  readonly targets: readonly Target[];
  readonly problems: readonly string[];
  readonly facts: Readonly<Record<string, number>>;
  readonly details: Details;
  readonly rate: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly durationMs: number;
  readonly date: string;
}

export function rowOf(outcome: Outcome, date: Date): Row {
  const { name, scenario, store, seed, rate, ours, stock, targets, problems, facts, stockFacts } = outcome;
  return {
    scenario: name,
    title: scenario.title,
    store,
    seed,
    ...figures(ours),
    stock: stock === undefined ? null : { ...figures(stock), facts: stockFacts, details: details(stock) },
    red: isRed(outcome),
    needsLedger: isExcused(outcome),
    targets,
    problems,
    facts,
    details: details(ours),
    rate,
    versions: outcome.versions,
    durationMs: outcome.durationMs,
    date: date.toISOString(),
  };
}
