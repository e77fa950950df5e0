/**
 * npm run faults -- [F01 …] [--store redis|postgres|embedded] [--seconds 30] [--seed N] [--json] [--without-stock] [--keep]
 *
 * Runs scenarios on stores, ours and stock BullMQ at the same time on servers of their own, judges both by their logs,
 * and ends with 1 when ours shows a finding that no missing ledger explains. Logs of such a run stay (with --keep
 * those of every run); their folder is printed. Without arguments: everything, which takes about an hour.
 */
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isRed, type Outcome, printJson, tableHead, tableRow, unmetTargets } from './report.ts';
import { runSide } from './run-side.ts';
import type { Scenario } from './scenario.ts';
import type { StoreName } from './servers.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    store: { type: 'string', multiple: true },
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    'without-stock': { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
});
const say = (text: string): void => void process.stderr.write(`${text}\n`);

function isScenario(value: unknown): value is Scenario {
  return typeof value === 'object' && value !== null && 'inject' in value && 'title' in value;
}

async function loadScenarios(): Promise<Map<string, Scenario>> {
  const folder = new URL('./scenarios/', import.meta.url);
  const found = new Map<string, Scenario>();
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.js')).toSorted()) {
    const module = (await import(new URL(file, folder).href)) as { readonly scenario?: unknown };
    if (!isScenario(module.scenario)) throw new Error(`scenarios/${file} exports no scenario`);
    found.set(file.slice(0, -3).toUpperCase(), module.scenario);
  }
  return found;
}

/** Not before both have ended: a side that goes on would run into the next scenario. */
function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

/** Both sides at the same time: whatever else this machine does, it does to both. */
async function run(name: string, scenario: Scenario, store: StoreName, seed: number): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), `jobfleet-faults-${name.toLowerCase()}-${store}-`));
  // Servers run as users of their own pass through it.
  await chmod(folder, 0o755);
  const seconds = Number(values.seconds);
  const hasStock = !values['without-stock'] && scenario.withoutStock === undefined;
  const both = await Promise.allSettled([
    runSide({ scenario, side: 'ours', store, seconds, seed, folder: join(folder, 'ours') }),
    hasStock ? runSide({ scenario, side: 'stock', store, seconds, seed, folder: join(folder, 'stock') }) : undefined,
  ]);
  const [ours, stock] = both.map(valueOf);
  if (ours === undefined) throw new Error('our side gave no result');
  const outcome: Outcome = {
    name,
    scenario,
    store,
    seed,
    ours: ours.result,
    stock: stock?.result,
    targets: scenario.targets?.(ours.result, ours.arena) ?? [],
    problems: (await scenario.problems?.(ours.result, ours.arena)) ?? [],
    facts: Object.fromEntries(ours.arena.facts),
    stockFacts: Object.fromEntries(stock?.arena.facts ?? []),
  };
  if (isRed(outcome)) {
    for (const finding of ours.result.findings.slice(0, 20)) say(`  ${finding.kind} ${finding.id}: ${finding.detail}`);
    for (const problem of outcome.problems) say(`  ${problem}`);
  }
  if (isRed(outcome) || values.keep) say(`  logs: ${folder}`);
  else await rm(folder, { recursive: true, force: true });
  for (const text of unmetTargets(outcome)) say(`  missed: ${text}`);
  return outcome;
}

const scenarios = await loadScenarios();
const names = positionals.length > 0 ? positionals.map((name) => name.toUpperCase()) : [...scenarios.keys()];
const unknown = names.filter((name) => !scenarios.has(name));
if (unknown.length > 0)
  throw new Error(`There is no ${unknown.join(', ')}; there are: ${[...scenarios.keys()].join(', ')}`);
const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed);
say(
  `seed ${seed}; ${cpus().length} × ${cpus()[0]?.model.trim() ?? '?'}, load ${loadavg()[0]?.toFixed(1) ?? '?'}, Node ${process.version}`,
);
say(tableHead);
let red = 0;
for (const name of names) {
  const scenario = scenarios.get(name);
  for (const store of scenario?.stores ?? []) {
    if (scenario === undefined || (values.store !== undefined && !values.store.includes(store))) continue;
    const outcome = await run(name, scenario, store, seed).catch((error: unknown) => {
      say(`| ${name} | ${store} | did not run: ${error instanceof Error ? error.stack : String(error)} |`);
      return undefined;
    });
    if (outcome === undefined || isRed(outcome)) red += 1;
    if (outcome === undefined) continue;
    say(tableRow(outcome));
    if (values.json) printJson(outcome);
  }
}
process.exit(red > 0 ? 1 : 0);
