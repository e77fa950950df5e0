/**
 * One job type where it really runs: in killable children of a pool, all compiled, as in production. From source each child
 * would compile its modules anew. For the live and data suites.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobRun, RunJobOptions } from '../../workers/testing.ts';
import { compiled } from './compiled.ts';

export interface ChildRuns {
  run(payload: unknown, options?: RunJobOptions): Promise<JobRun>;
  close(): Promise<void>;
}

const load = async <T>(source: string): Promise<T> => (await import(compiled(source).href)) as T;

/** `env` is that of the handler. Folders of children are below the temporary folder. */
export async function openChildRuns(type: string, env: Readonly<Record<string, string>> = {}): Promise<ChildRuns> {
  const { openPool } = await load<typeof import('../../workers/isolate/pool.ts')>('workers/isolate/pool.ts');
  const { runJob } = await load<typeof import('../../workers/testing.ts')>('workers/testing.ts');
  const source = `jobs/${type}/handler.ts`;
  const { default: handler } = await load<{ default: Parameters<typeof runJob>[0] }>(source);
  const base = await mkdtemp(join(tmpdir(), 'jobfleet-children-'));
  // Children under ids of their own pass through it to their folders.
  await chmod(base, 0o711);
  const types = [
    { name: type, handlerUrl: compiled(source).href, policy: handler.job.policy, env: handler.env.parse(env) },
  ];
  const log = { warn: () => undefined, error: () => undefined };
  const pool = await openPool({ types, base, spares: 2, environment: process.env, log });
  return {
    run: (payload, options = {}) => runJob(handler, payload, { env, ...options, pool }),
    async close() {
      await pool.close();
      await rm(base, { recursive: true, force: true });
    },
  };
}
