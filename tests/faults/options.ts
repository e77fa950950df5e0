/** What `npm run faults -- …` was asked for: which rows, or one sentence that says what is wrong with the question. */
import { parseArgs } from 'node:util';
import type { Scenario } from './scenario.ts';
import { type StoreName, storeNames } from './servers.ts';

/** A question that cannot be answered; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface Row {
  readonly name: string;
  readonly scenario: Scenario;
  readonly store: StoreName;
}

export interface Options {
  readonly rows: readonly Row[];
  readonly seconds: number;
  /** Jobs a second; undefined: the usual rate of the store. */
  readonly rate: number | undefined;
  readonly seed: number | undefined;
  /** Prints one JSON object a row. */
  readonly json: boolean;
  /** Writes one JSON file a row into this folder. */
  readonly out: string | undefined;
  /** Rows that run at the same time; undefined: two of the light ones, else one. */
  readonly atOnce: number | undefined;
  readonly withStock: boolean;
  /** Logs of every run stay. */
  readonly keep: boolean;
}

export interface TableOptions {
  readonly folder: string;
  /** The file between whose marks the table goes; undefined: printed. */
  readonly write: string | undefined;
}

/**
 * Completed jobs that a Redis of ours keeps. A job that was removed in the order of its end would count as lost, so a
 * run stays below.
 */
const jobsAtMost = 9_500;

/** Jobs a second that two processors carry for both sides at once. */
const usualRate: Readonly<Record<StoreName, number>> = { redis: 200, postgres: 100, embedded: 100 };

export const rateOf = ({ rate }: Pick<Options, 'rate'>, { scenario, store }: Row): number =>
  scenario.load.rate ?? rate ?? usualRate[store];

const words = {
  store: { type: 'string', multiple: true },
  seconds: { type: 'string', default: '30' },
  rate: { type: 'string' },
  seed: { type: 'string' },
  json: { type: 'boolean', default: false },
  out: { type: 'string' },
  'at-once': { type: 'string' },
  'without-stock': { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
  write: { type: 'string' },
} as const;

/** Throws `UsageError`. */
export function readOptions(args: readonly string[], scenarios: ReadonlyMap<string, Scenario>): Options | TableOptions {
  const { values, positionals } = parse(args);
  if (positionals[0] === 'table') return tableOptions(positionals.slice(1), values.write);
  if (values.write !== undefined) throw new UsageError('--write belongs to `table`.');
  const seconds = number('seconds', values.seconds, 1) ?? 30;
  const options = {
    seconds,
    rate: number('rate', values.rate, 1),
    seed: number('seed', values.seed, 0),
    json: values.json,
    out: values.out,
    atOnce: number('at-once', values['at-once'], 1),
    withStock: !values['without-stock'],
    keep: values.keep,
  };
  const rows = chooseRows(positionals, values.store, scenarios);
  for (const row of rows) {
    const jobs = Math.min(rateOf(options, row) * seconds, row.scenario.load.most ?? Number.POSITIVE_INFINITY);
    if (jobs > jobsAtMost)
      throw new UsageError(
        `${row.name} on ${row.store} would make ${jobs} jobs in ${seconds} s; Redis keeps the newest 10,000 completed ones, so at most ${jobsAtMost} can be judged. Lower --rate or --seconds.`,
      );
  }
  return { ...options, rows };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: words });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function tableOptions([folder, ...more]: readonly string[], write: string | undefined): TableOptions {
  if (folder === undefined || more.length > 0)
    throw new UsageError(
      'Expected one folder of results: npm run faults -- table FOLDER [--write docs/reliability.md]',
    );
  return { folder, write };
}

function number(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new UsageError(`--${name} expects a whole number from ${least} on, got "${text}".`);
}

/** `F01`: on each of the stores it has; `F01:redis`: on that one. A scenario that was named has to run somewhere. */
function chooseRows(
  asked: readonly string[],
  stores: readonly string[] | undefined,
  scenarios: ReadonlyMap<string, Scenario>,
): Row[] {
  const strange = (stores ?? []).filter((store) => !storeNames.some((known) => known === store));
  if (strange.length > 0)
    throw new UsageError(`There is no store ${strange.join(', ')}; there are: ${storeNames.join(', ')}.`);
  return (asked.length > 0 ? asked : [...scenarios.keys()]).flatMap((word) => {
    const [name = '', only] = word.split(':');
    const scenario = scenarios.get(name.toUpperCase());
    if (scenario === undefined)
      throw new UsageError(`There is no scenario ${name}; there are: ${[...scenarios.keys()].join(', ')}.`);
    const wanted = only === undefined ? stores : [only];
    const on = scenario.stores.filter((store) => wanted === undefined || wanted.includes(store));
    if (on.length === 0 && asked.length > 0)
      throw new UsageError(
        `${name.toUpperCase()} runs on ${scenario.stores.join(', ')}, not on ${wanted?.join(', ')}.`,
      );
    return on.map((store) => ({ name: name.toUpperCase(), scenario, store }));
  });
}
