/** One row: a scenario on a store, both sides at the same time, and what became of it. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Arena } from './arena.ts';
import type { SideResult } from './judge-run.ts';
import { type Options, type Row, rateOf } from './options.ts';
import { isRed, type Outcome, type Skipped, unexplained, unmetTargets } from './report.ts';
import { runSide } from './run-side.ts';

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const findingsShown = 20;

export function reasonToSkip({ name, scenario, store }: Row): Skipped | undefined {
  const isRoot = process.getuid?.() === 0;
  return scenario.needsRoot === true && !isRoot ? { name, store, skipped: 'needs root' } : undefined;
}

/** Not before both have ended: a side that goes on would run into the next row. */
function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

/** Whatever else this machine does meanwhile, it does to both sides. */
export async function runRow(row: Row, options: Options, seed: number): Promise<Outcome> {
  const { name, scenario, store } = row;
  const startedAt = Date.now();
  const folder = await mkdtemp(join(tmpdir(), `jobfleet-faults-${name.toLowerCase()}-${store}-`));
  // Servers run as users of their own pass through it.
  await chmod(folder, 0o755);
  const rate = rateOf(options, row);
  const hasStock = options.withStock && scenario.withoutStock === undefined;
  const shared = { scenario, store, seconds: options.seconds, rate, seed };
  const both = await Promise.allSettled([
    runSide({ ...shared, side: 'ours', folder: join(folder, 'ours') }),
    hasStock ? runSide({ ...shared, side: 'stock', folder: join(folder, 'stock') }) : undefined,
  ]);
  const [ours, stock] = both.map(valueOf);
  if (ours === undefined) throw new Error('our side gave no result');
  const outcome: Outcome = {
    name,
    scenario,
    store,
    seed,
    rate,
    ours: ours.result,
    stock: stock?.result,
    targets: scenario.targets?.(ours.result, ours.arena) ?? [],
    problems: await problemsOf(row, ours.result, ours.arena),
    facts: Object.fromEntries(ours.arena.facts),
    stockFacts: Object.fromEntries(stock?.arena.facts ?? []),
    versions: { Node: process.versions.node, BullMQ: bullmqVersion(), ...ours.arena.versions },
    durationMs: Date.now() - startedAt,
  };
  tell(outcome);
  if (isRed(outcome) || options.keep) say(`  logs: ${folder}`);
  else await rm(folder, { recursive: true, force: true });
  return outcome;
}

async function problemsOf({ scenario }: Row, ours: SideResult, arena: Arena): Promise<string[]> {
  const own = (await scenario.problems?.(ours, arena)) ?? [];
  const isSilent = scenario.alert !== undefined && ours.alertMs === undefined;
  return isSilent ? [...own, `no worker said ${String(scenario.alert)} in its log`] : [...own];
}

function tell(outcome: Outcome): void {
  const { name, store, problems } = outcome;
  for (const finding of unexplained(outcome).slice(0, findingsShown))
    say(`  ${name} ${store}: ${finding.kind} ${finding.id}: ${finding.detail}`);
  for (const problem of problems) say(`  ${name} ${store}: ${problem}`);
  for (const text of unmetTargets(outcome)) say(`  ${name} ${store}: missed: ${text}`);
}

function bullmqVersion(): string {
  const manifest: unknown = createRequire(import.meta.url)('bullmq/package.json');
  return String(Reflect.get(Object(manifest), 'version'));
}
