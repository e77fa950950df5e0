/**
 * npm run bench -- [NAME …] [--backend B] [--quick] [--large] [--json]
 *
 * Compiled first: a loader would cost each side a different share. One file a workload, each ending in `run(options): Promise<Goal[]>`; no NAME runs them all, one after the other.
 * Ours and theirs alternate in one run, and only ratios are goals. `--json` ends with one line per goal. Exit 1: a guard is broken.
 */
import { readdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type BenchOptions, type Goal, said } from './goal.ts';

interface Bench {
  readonly run: (options: BenchOptions) => Promise<Goal[]>;
}

function isBench(module: unknown): module is Bench {
  return typeof module === 'object' && module !== null && 'run' in module && typeof module.run === 'function';
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    backend: { type: 'string' },
    quick: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const options: BenchOptions = {
  quick: values.quick,
  large: values.large,
  ...(values.backend === undefined ? {} : { backend: values.backend }),
};

const benches = new Map<string, Bench>();
for (const file of (await readdir(new URL('.', import.meta.url))).toSorted()) {
  if (!file.endsWith('.js') || file === 'main.js') continue;
  const module: unknown = await import(new URL(file, import.meta.url).href);
  if (isBench(module)) benches.set(file.slice(0, -3), module);
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** One line: what was measured, and what that says of its goal. */
function lineOf({ goal, name, backend, ours, theirs, ratio, cpuRatio, spread, targets, verdict }: Goal): string {
  const between = `[${spread.map((it) => it.toFixed(2)).join('..')}]`;
  const cpu = cpuRatio === null ? '' : `, CPU ${cpuRatio.toFixed(2)}×`;
  const wanted = targets.length === 0 ? '' : `; ${targets.map(said).join(', ')}: ${verdict}`;
  return `${goal} ${name} (${backend}): ${ours.toPrecision(4)} against ${theirs.toPrecision(4)} = ${ratio.toFixed(2)}× ${between}${cpu}${wanted}`;
}

const goals: Goal[] = [];
for (const name of positionals.length > 0 ? positionals : benches.keys()) {
  const bench = benches.get(name);
  if (bench === undefined) throw new Error(`There is no bench "${name}"; there are: ${[...benches.keys()].join(', ')}`);
  const startedAt = performance.now();
  say(`${name} …`);
  for (const goal of await bench.run(options)) {
    goals.push(goal);
    say(`  ${lineOf(goal)}`);
  }
  say(`  ${name} took ${Math.round((performance.now() - startedAt) / 1_000)} s`);
}
const of = (verdict: Goal['verdict']): Goal[] => goals.filter((goal) => goal.verdict === verdict);
say(`${of('met').length} met, ${of('missed').length} missed, ${of('guard broken').length} guards broken`);
for (const goal of of('guard broken')) say(`  guard broken: ${lineOf(goal)}`);
if (values.json) for (const goal of goals) process.stdout.write(`${JSON.stringify(goal)}\n`);
process.exitCode = of('guard broken').length > 0 ? 1 : 0;
