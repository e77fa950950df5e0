/**
 * The parts of the documentation that the code decides: variables, error codes, metrics, job types. `npm run docs`
 * writes them between their markers (`<!-- variables -->` … `<!-- /variables -->`), tests/docs.test.ts compares. One page a
 * job type: job-docs.ts.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { jobCodes } from '../../jobs/errors.ts';
import { loadRegistry, type Registry } from '../../jobs/registry.ts';
import { apiCodes } from '../../producers/problem.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { jobPageParts, jobTypeRow, newJobPage } from './job-docs.ts';
import { table, variableRows } from './markdown.ts';

const root = new URL('../../', import.meta.url);

/** Which section stands in which file. */
const sections: Readonly<Record<string, string>> = {
  variables: 'docs/configuration.md',
  'handler variables': 'docs/configuration.md',
  'job codes': 'docs/errors.md',
  'api codes': 'docs/errors.md',
  metrics: 'docs/operations.md',
  'job types': 'docs/jobs.md',
};

/** Every `env.ts` of the composition roots; each exports exactly the objects it parses. */
async function allVariables(): Promise<readonly (readonly string[])[]> {
  const rows = new Map<string, string[]>();
  for (const folder of ['runtime', 'producers', 'workers', 'dashboard', 'cli']) {
    if (!(await readdir(new URL(folder, root))).includes('env.ts')) continue;
    const module: unknown = await import(new URL(`${folder}/env.ts`, root).href);
    for (const value of Object.values(Object(module))) {
      if (value instanceof z.ZodObject) for (const line of variableRows(value)) rows.set(line[0] ?? '', line);
    }
  }
  return [...rows.values()].toSorted(byFirst);
}

async function variables(): Promise<string> {
  return table(['variable', 'default', 'meaning'], await allVariables());
}

/** .env.example: every variable, commented out, so that the file works unedited. */
export async function envExample(): Promise<string> {
  const entry = ([name = '', preset = '', meaning = '']: readonly string[]): string => {
    const value = preset.startsWith('`') ? preset.slice(1, -1) : '';
    return `# ${meaning}\n#${name.slice(1, -1)}=${value}\n`;
  };
  const rows = await handlerVariableRows(await loadRegistry());
  const handlers = rows.map(([name = '', type = '', preset = '', meaning = '']) =>
    entry([name, preset, `${type}: ${meaning}`]),
  );
  return `# Written by npm run docs from the schemas. Copy it to .env, which every command reads in the folder it is called in.
# Works unedited: uncomment what you change. The environment wins over the file. docs/configuration.md says more.

${(await allVariables()).map(entry).join('\n')}
# --- Of handlers ---

${handlers.join('\n')}`;
}

function byFirst(a: readonly string[], b: readonly string[]): number {
  return (a[0] ?? '').localeCompare(b[0] ?? '');
}

async function handlerVariableRows(registry: Registry): Promise<readonly (readonly string[])[]> {
  const rows: string[][] = [];
  for (const name of registry.jobs.keys()) {
    const { env } = await registry.handler(name);
    if (env instanceof z.ZodObject)
      for (const line of variableRows(env)) rows.push([line[0] ?? '', name, ...line.slice(1)]);
  }
  return rows;
}

function codes(catalogue: Readonly<Record<string, string>>): string {
  return table(
    ['code', 'meaning and what to do'],
    Object.entries(catalogue).map(([code, text]) => [`\`${code}\``, text]),
  );
}

async function metrics(): Promise<string> {
  const text = await createMetrics().text();
  const rows: string[][] = [];
  for (const match of text.matchAll(/^# HELP (\S+) (.*)$/gm)) {
    const [, name = '', help = ''] = match;
    if (!/^(jobfleet|bullmq)_/.test(name)) continue;
    rows.push([`\`${name}\``, new RegExp(`^# TYPE ${name} (\\S+)$`, 'm').exec(text)?.[1] ?? '', help]);
  }
  return table(['family', 'type', 'meaning'], rows.toSorted(byFirst));
}

function jobTypes(registry: Registry): string {
  return table(
    ['job type', 'also', 'what it does', 'attempts', 'time limit', 'runs'],
    [...registry.jobs.values()].map(jobTypeRow),
  );
}

/** The text of every section, by its name. */
export async function generate(): Promise<ReadonlyMap<string, string>> {
  const registry = await loadRegistry();
  return new Map([
    ['variables', await variables()],
    ['handler variables', table(['variable', 'job type', 'default', 'meaning'], await handlerVariableRows(registry))],
    ['job codes', codes(jobCodes)],
    ['api codes', codes(apiCodes)],
    ['metrics', await metrics()],
    ['job types', jobTypes(registry)],
  ]);
}

/** What stands between the markers of a section now. Throws when the markers are missing. */
export function between(text: string, section: string): string {
  const match = new RegExp(`<!-- ${section} -->\\n([\\s\\S]*?)\\n?<!-- /${section} -->`).exec(text);
  if (match === null) throw new Error(`The markers of "${section}" are missing`);
  return (match[1] ?? '').trim();
}

export async function readSection(section: string): Promise<string> {
  const file = sections[section];
  if (file === undefined) throw new Error(`No file holds the section "${section}"`);
  return between(await readFile(new URL(file, root), 'utf8'), section);
}

/** Replaces what stands between the markers of a section. Throws when they are missing. */
function withSection(text: string, section: string, content: string): string {
  between(text, section);
  return text.replace(
    new RegExp(`<!-- ${section} -->\\n[\\s\\S]*?<!-- /${section} -->`),
    () => `<!-- ${section} -->\n\n${content}\n\n<!-- /${section} -->`,
  );
}

async function writeIfOther(file: URL, before: string | undefined, after: string): Promise<void> {
  if (after !== before) await writeFile(file, after);
}

async function writeJobPages(): Promise<void> {
  const registry = await loadRegistry();
  const folder = new URL('docs/jobs/', root);
  await mkdir(folder, { recursive: true });
  const there = await readdir(folder);
  for (const job of registry.jobs.values()) {
    const file = new URL(`${job.name}.md`, folder);
    const before = there.includes(`${job.name}.md`) ? await readFile(file, 'utf8') : undefined;
    let after = before ?? newJobPage(job.name);
    for (const [part, text] of await jobPageParts(registry, job)) after = withSection(after, part, text);
    await writeIfOther(file, before, after);
  }
}

async function write(): Promise<void> {
  await writeFile(new URL('.env.example', root), await envExample());
  for (const [section, text] of await generate()) {
    const file = new URL(sections[section] ?? '', root);
    const before = await readFile(file, 'utf8');
    await writeIfOther(file, before, withSection(before, section, text));
  }
  await writeJobPages();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await write();
