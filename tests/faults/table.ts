/** Results as the table of docs/reliability.md: one row a run, stock beside ours. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Figures, Row, Skipped } from './report.ts';

const mark = { begin: '<!-- faults: begin -->', end: '<!-- faults: end -->' } as const;

const columns = ['accepted', 'lost · unexpected · double · false dead · stale', 'recovery p50 / p95 s', 'errors'];
export const tableHead = [
  `| | store | ${columns.join(' | ')} | ${columns.map((column, n) => (n === 0 ? `stock: ${column}` : column)).join(' | ')} |`,
  `| ${Array.from({ length: 10 }, () => '---').join(' | ')} |`,
].join('\n');

const seconds = (ms: number | null): string => (ms === null ? '–' : (ms / 1_000).toFixed(1));

function cells(side: Figures & { readonly details: { readonly errors: number; readonly isDrained: boolean } }): string {
  const { accepted, lost, unexpected, doubleEffects, falseDeadLetters, staleWrites, recoveryMs } = side;
  const counts = [lost, unexpected, doubleEffects, falseDeadLetters, staleWrites].join(' · ');
  const recovery = recoveryMs.p50 === null ? '–' : `${seconds(recoveryMs.p50)} / ${seconds(recoveryMs.p95)}`;
  const drained = side.details.isDrained ? '' : ' (never drained)';
  return `${accepted} | ${counts}${drained} | ${recovery} | ${side.details.errors}`;
}

/** `F08 ‡` needs a ledger, `F01 red` broke a promise. */
export function tableRow(row: Row | Skipped): string {
  if ('skipped' in row) return `| ${row.name} | ${row.store} | skipped: ${row.skipped} |${' |'.repeat(7)}`;
  const name = `${row.scenario}${row.needsLedger ? ' ‡' : ''}${row.red ? ' red' : ''}`;
  const stock = row.stock === null ? '– | – | – | –' : cells(row.stock);
  return `| ${name} | ${row.store} | ${cells(row)} | ${stock} |`;
}

/** What was promised beside the counts, below the table. */
function targetLines(rows: readonly Row[]): string[] {
  return rows.flatMap(({ scenario, store, targets, details }) => [
    ...targets.map(({ what, measured, limit, unit }) => {
      const verdict = measured <= limit ? 'met' : '**missed**';
      return `- ${scenario} ${store}: ${what} ${measured} ${unit}, at most ${limit}: ${verdict}`;
    }),
    ...(details.alertMs === null ? [] : [`- ${scenario} ${store}: alert after ${seconds(details.alertMs)} s`]),
  ]);
}

export async function readRows(folder: string): Promise<Row[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted();
  return Promise.all(names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as Row));
}

export function markdown(rows: readonly Row[]): string {
  const [first] = rows;
  const dates = rows.map(({ date }) => date).toSorted();
  const versions = Object.entries(Object.assign({}, ...rows.map((row) => row.versions)) as Record<string, string>);
  const said = versions.map(([what, version]) => `${what} ${version}`).join(', ');
  const span = `${dates[0]?.slice(0, 16)} to ${dates.at(-1)?.slice(0, 16)} UTC; seed ${first?.seed}; ${said}.`;
  return [`Runs of ${span}`, '', tableHead, ...rows.map(tableRow), '', ...targetLines(rows)].join('\n');
}

/** Puts it between the two marks of the file. Throws when they are not there. */
export async function updateFile(path: string, text: string): Promise<void> {
  const old = await readFile(path, 'utf8');
  const [from, to] = [old.indexOf(mark.begin), old.indexOf(mark.end)];
  if (from === -1 || to < from) throw new Error(`${path} has no ${mark.begin} … ${mark.end}`);
  await writeFile(path, `${old.slice(0, from)}${mark.begin}\n\n${text}\n\n${old.slice(to)}`);
}
