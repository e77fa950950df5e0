/**
 * npm run faults -- [F01 F02:redis …] [--store redis|postgres|embedded] [--seconds 30] [--rate N] [--seed N] [--json]
 *                   [--out FOLDER] [--at-once N] [--without-stock] [--keep]
 * npm run faults -- table FOLDER [--write docs/reliability.md]
 *
 * Runs scenarios on stores, ours and stock BullMQ at the same time on servers of their own, and judges both by their
 * logs. Ends with 1 when ours shows a finding that no missing ledger explains, or with CI=true when a row was skipped;
 * with 2 when the question makes no sense. Logs of a red run stay (with --keep those of every run); their folder is
 * printed. Without names: everything, which takes the better part of an hour.
 */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { type Options, type Row, readOptions, UsageError } from './options.ts';
import { rowOf } from './report.ts';
import { reasonToSkip, runRow } from './run-row.ts';
import type { Scenario } from './scenario.ts';
import { markdown, readRows, tableHead, tableRow, updateFile } from './table.ts';

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const lightAtOnce = 2;

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

/** Answers whether the row is as it should be. */
async function runOne(row: Row, options: Options, seed: number): Promise<boolean> {
  const { name, store } = row;
  const skipped = reasonToSkip(row);
  if (skipped !== undefined) {
    say(tableRow(skipped));
    if (options.json) process.stdout.write(`${JSON.stringify(skipped)}\n`);
    return process.env['CI'] !== 'true';
  }
  try {
    const result = rowOf(await runRow(row, options, seed), new Date());
    say(tableRow(result));
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    if (options.out !== undefined)
      await writeFile(join(options.out, `${name}-${store}.json`), `${JSON.stringify(result, undefined, 2)}\n`);
    return !result.red;
  } catch (error) {
    say(`| ${name} | ${store} | did not run: ${error instanceof Error ? error.stack : String(error)} |`);
    return false;
  }
}

/** So many lanes, each taking the next row. Answers how many rows were not as they should be. */
async function runAll(rows: readonly Row[], atOnce: number, options: Options, seed: number): Promise<number> {
  const left = [...rows];
  let bad = 0;
  const lane = async (): Promise<void> => {
    for (let row = left.shift(); row !== undefined; row = left.shift())
      if (!(await runOne(row, options, seed))) bad += 1;
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return bad;
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2), await loadScenarios());
  if ('folder' in options) {
    const text = markdown(await readRows(options.folder));
    if (options.write === undefined) process.stdout.write(`${text}\n`);
    else await updateFile(options.write, text);
    return 0;
  }
  const startedAt = Date.now();
  if (options.out !== undefined) await mkdir(options.out, { recursive: true });
  const seed = options.seed ?? Math.floor(Math.random() * 1_000_000);
  say(
    `seed ${seed}; ${cpus().length} × ${cpus()[0]?.model.trim() ?? '?'}, load ${loadavg()[0]?.toFixed(1) ?? '?'}, Node ${process.version}`,
  );
  say(tableHead);
  const { rows, atOnce } = options;
  const isLight = ({ scenario }: Row): boolean => atOnce === undefined && scenario.isLight === true;
  const heavy = rows.filter((row) => !isLight(row));
  const bad =
    (await runAll(heavy, atOnce ?? 1, options, seed)) +
    (await runAll(rows.filter(isLight), lightAtOnce, options, seed));
  say(`${rows.length} rows in ${Math.round((Date.now() - startedAt) / 1_000)} s, ${bad} not as they should be`);
  return bad > 0 ? 1 : 0;
}

// Whatever was started ends with this process, by its exit handlers.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(130));
process.exitCode = await main().catch((error: unknown) => {
  if (!(error instanceof UsageError)) throw error;
  say(error.message);
  return 2;
});
process.exit();
