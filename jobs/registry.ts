/**
 * Finds the job types: every folder beside this file that has a `job.ts`. There is no list to edit. The light door is
 * loaded at once, a handler only when `handler(name)` is called for a queue that this process serves.
 */
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Handler, Job } from './define.ts';
import { policyProblems } from './policy.ts';
import { secretFieldsOf } from './secret-fields.ts';

export interface Registry {
  /** All job types, by name, in alphabetical order. */
  readonly jobs: ReadonlyMap<string, Job>;
  /** By name or alias. */
  readonly find: (nameOrAlias: string) => Job | undefined;
  /** Imports the heavy door. Throws when the folder has none or when it belongs to another job. */
  readonly handler: (name: string) => Promise<Handler>;
  /** `file:` URL of the heavy door, for a child process that imports it. */
  readonly handlerUrl: (name: string) => string;
}

/** Job folders that cannot be used together; the message lists every problem. */
class JobFoldersError extends Error {
  override readonly name = 'JobFoldersError';
}

const nameRule = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/**
 * Throws one `JobFoldersError` that lists every problem of every folder. `root` is a folder of job folders; default: this
 * one. `leastIntervalMs` is how near two ticks of a schedule may be: for tests that cannot wait for the ten seconds of all.
 */
export async function loadRegistry(
  root: URL = new URL('.', import.meta.url),
  { leastIntervalMs }: { readonly leastIntervalMs?: number } = {},
): Promise<Registry> {
  const jobs = new Map<string, Job>();
  const byAlias = new Map<string, Job>();
  const problems: string[] = [];
  const entries = await readdir(root, { withFileTypes: true });
  for (const folder of entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted()) {
    if (!(await readdir(new URL(`${folder}/`, root))).includes(`job${extension}`)) continue;
    const module = (await import(new URL(`${folder}/job${extension}`, root).href)) as { default?: Job };
    const job = module.default;
    if (job === undefined) {
      problems.push(`jobs/${folder}/job.ts has no default export; expected defineJob({…})`);
      continue;
    }
    if (job.name !== folder)
      problems.push(`jobs/${folder}/job.ts is named "${job.name}"; name and folder must be equal`);
    if (!nameRule.test(job.name)) problems.push(`jobs/${folder}: the name must be kebab-case`);
    for (const problem of policyProblems(job.policy)) problems.push(`jobs/${folder}: ${problem}`);
    for (const problem of secretFieldsOf(job.payload).problems) problems.push(`jobs/${folder}: ${problem}`);
    if (job.schedule !== undefined) {
      // With its parser only where there is something to parse.
      const { scheduleProblems } = await import('./schedule.ts');
      for (const problem of scheduleProblems(job, leastIntervalMs)) problems.push(`jobs/${folder}: ${problem}`);
    }
    jobs.set(job.name, job);
  }
  for (const job of jobs.values()) {
    for (const alias of job.aliases) {
      const other = byAlias.get(alias) ?? jobs.get(alias);
      if (other !== undefined)
        problems.push(
          `jobs/${job.name}: the alias "${alias}" already belongs to ${other.name}; drop it in one of them`,
        );
      byAlias.set(alias, job);
    }
  }
  if (problems.length > 0)
    throw new JobFoldersError(
      `The job folders under ${fileURLToPath(root)} cannot be used:\n  ${problems.join('\n  ')}`,
    );
  const handlerUrl = (name: string): string => new URL(`${name}/handler${extension}`, root).href;
  return {
    jobs,
    find: (name) => jobs.get(name) ?? byAlias.get(name),
    handlerUrl,
    handler: async (name) => {
      const job = jobs.get(name);
      if (job === undefined) throw new Error(`There is no job type "${name}"; known: ${[...jobs.keys()].join(', ')}`);
      const module = (await import(handlerUrl(name))) as { default?: Handler };
      if (module.default?.job !== job)
        throw new Error(`jobs/${name}/handler.ts must export defineHandler(job, …) of its own job.ts`);
      return module.default;
    },
  };
}
