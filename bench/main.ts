/**
 * npm run bench -- [NAME …] [--backend B] [--quick] [--json]
 *
 * Compiled first: a loader would cost each side a different share. One file a workload, each ending in `run(options): Promise<Goal[]>`; no NAME runs them all, one after the other.
 * Ours and theirs alternate in one run, and only ratios are goals. `--json` ends with one line per goal.
 */
import { readdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { BenchOptions, Goal } from './goal.ts';

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
    json: { type: 'boolean', default: false },
  },
});
const options: BenchOptions = {
  quick: values.quick,
  ...(values.backend === undefined ? {} : { backend: values.backend }),
};

const benches = new Map<string, Bench>();
for (const file of (await readdir(new URL('.', import.meta.url))).toSorted()) {
  if (!file.endsWith('.js') || file === 'main.js') continue;
  const module: unknown = await import(new URL(file, import.meta.url).href);
  if (isBench(module)) benches.set(file.slice(0, -3), module);
}
const names = positionals.length > 0 ? positionals : [...benches.keys()];
const goals: Goal[] = [];
for (const name of names) {
  const bench = benches.get(name);
  if (bench === undefined) throw new Error(`There is no bench "${name}"; there are: ${[...benches.keys()].join(', ')}`);
  process.stderr.write(`${name} …\n`);
  for (const goal of await bench.run(options)) {
    goals.push(goal);
    const cpu = goal.cpuRatio === null ? '' : `, CPU ${goal.cpuRatio.toFixed(2)}×`;
    const spread = `[${goal.spread.map((it) => it.toFixed(2)).join('..')}]`;
    process.stderr.write(
      `  ${goal.goal} ${goal.name} (${goal.backend}): ${goal.ours.toPrecision(4)} against ${goal.theirs.toPrecision(4)} = ${goal.ratio.toFixed(2)}× ${spread}${cpu}\n`,
    );
  }
}
if (values.json) for (const goal of goals) process.stdout.write(`${JSON.stringify(goal)}\n`);
