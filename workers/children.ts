/** The pool of killable children for the job types of one process. */
import type { Registry } from '../jobs/registry.ts';
import type { Log } from '../runtime/log.ts';
import type { ServedType } from './availability.ts';
import type { Pool } from './isolate/pool.ts';

export interface ChildrenOptions {
  readonly served: readonly ServedType[];
  readonly registry: Pick<Registry, 'handlerUrl'>;
  readonly log: Log;
  /** Where folders of attempts are made. */
  readonly base: string;
  /** PATH, LANG and TZ of it reach the children. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Types that always run in a child get spare ones; any other type may need one for a suspect and gets it then. */
export async function openChildren(options: ChildrenOptions): Promise<Pool> {
  const { openPool } = await import('./isolate/pool.ts');
  return openPool({
    types: options.served.map(({ job, env }) => ({
      name: job.name,
      handlerUrl: options.registry.handlerUrl(job.name),
      policy: job.policy,
      env,
      ...(job.policy.isolation === 'child' ? {} : { spares: 0 }),
    })),
    log: options.log,
    environment: options.environment,
    base: options.base,
  });
}
