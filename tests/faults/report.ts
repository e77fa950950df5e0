/** One run in one JSON line and one table row, and whether it is red. */
import type { FindingKind } from './checker.ts';
import type { SideResult } from './run-side.ts';
import type { Scenario, Target } from './scenario.ts';
import type { StoreName } from './servers.ts';

export interface Outcome {
  readonly name: string;
  readonly scenario: Scenario;
  readonly store: StoreName;
  readonly seed: number;
  readonly ours: SideResult;
  readonly stock: SideResult | undefined;
  readonly targets: readonly Target[];
  readonly problems: readonly string[];
  readonly facts: Readonly<Record<string, number>>;
  readonly stockFacts: Readonly<Record<string, number>>;
}

/** What a store that loses acknowledged writes may show: the jobs, and with them what was known about their effects. */
const storesFault = new Set<FindingKind>([
  'lost',
  'unexpected',
  'double effect',
  'two verdicts',
  'missing effect',
  'stale write',
]);

/** Times do not count here: they depend on what else the machine does. */
export function isRed({ scenario, store, ours, problems }: Outcome): boolean {
  const isExcused = scenario.needsLedger?.includes(store) ?? false;
  const unexplained = ours.findings.filter(({ kind }) => !isExcused || !storesFault.has(kind));
  return unexplained.length > 0 || problems.length > 0 || (!ours.isDrained && !isExcused);
}

export function unmetTargets({ targets }: Outcome): string[] {
  return targets
    .filter(({ measured, limit }) => measured > limit)
    .map(({ what, measured, limit, unit }) => `${what}: ${measured} ${unit}, wanted at most ${limit}`);
}

function figures(side: SideResult) {
  const { accepted, lost, unexpected, doubleEffects, falseDeadLetters, staleWrites } = side.counts;
  const { p50, p95, max } = side.recoveryMs;
  return { accepted, lost, unexpected, doubleEffects, falseDeadLetters, staleWrites, recoveryMs: { p50, p95, max } };
}

function details(side: SideResult) {
  const { findings, counts, recoveryMs: _spread, ...rest } = side;
  const byKind: Record<string, number> = {};
  for (const { kind } of findings) byKind[kind] = (byKind[kind] ?? 0) + 1;
  return { ...counts, ...rest, findings: byKind };
}

export function printJson(outcome: Outcome): void {
  const { name, store, seed, ours, stock, targets, problems, facts, stockFacts } = outcome;
  const line = {
    scenario: name,
    store,
    seed,
    ...figures(ours),
    stock: stock === undefined ? null : { ...figures(stock), facts: stockFacts, details: details(stock) },
    red: isRed(outcome),
    targets,
    problems,
    facts,
    details: details(ours),
    date: new Date().toISOString(),
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

export const tableHead = [
  '| scenario | store | side | accepted | lost | unexpected | double effects | false dead letters | stale writes | recovery p50 / p95 / max s | accept gap s | drain s | errors |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
].join('\n');

export function tableRow(outcome: Outcome): string {
  const row = (side: 'ours' | 'stock', result: SideResult) => {
    const { accepted, lost, unexpected, doubleEffects, falseDeadLetters, staleWrites } = result.counts;
    const { p50, p95, max, n } = result.recoveryMs;
    const s = (ms: number) => (ms / 1_000).toFixed(1);
    const recovery = n === 0 ? '–' : `${s(p50)} / ${s(p95)} / ${s(max)}`;
    const drain = result.isDrained ? s(result.drainMs) : `> ${s(result.drainMs)}`;
    const cells = [accepted, lost, unexpected, doubleEffects, falseDeadLetters, staleWrites, recovery];
    const mark = side === 'ours' && isRed(outcome) ? ' red' : '';
    return `| ${outcome.name}${mark} | ${outcome.store} | ${side} | ${cells.join(' | ')} | ${s(result.acceptGapMs)} | ${drain} | ${result.errors} |`;
  };
  const stock = outcome.stock === undefined ? [] : [row('stock', outcome.stock)];
  return [row('ours', outcome.ours), ...stock].join('\n');
}
