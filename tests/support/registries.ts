/** The job types that the processes of tests can be asked to run. */
import { loadRegistry, type Registry } from '../../jobs/registry.ts';

export type JobsOf = 'acting' | 'examples' | 'real';

/** `acting` (default): the test jobs; `real`: those of the product; `examples`: these and the examples. */
export async function registryOf(jobs: string | undefined): Promise<Registry> {
  if (jobs === 'real') return loadRegistry();
  return jobs === 'examples' ? loadWithExamples() : loadRegistry(new URL('./fleet-jobs/', import.meta.url));
}

/** The product's job types and those of `examples/jobs`, as if the folders had been copied over. */
export async function loadWithExamples(): Promise<Registry> {
  const own = await loadRegistry();
  const examples = await loadRegistry(new URL('../../examples/jobs/', import.meta.url));
  const of = (name: string): Registry => (examples.jobs.has(name) ? examples : own);
  return {
    jobs: new Map([...own.jobs, ...examples.jobs]),
    find: (name) => examples.find(name) ?? own.find(name),
    handler: (name) => of(name).handler(name),
    handlerUrl: (name) => of(name).handlerUrl(name),
  };
}
