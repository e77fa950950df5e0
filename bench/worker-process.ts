/** A worker of one side in a process of its own (`processes/worker.ts`), as the benches see it. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { z } from 'zod';
import type { Server } from './servers.ts';

const seen = z.object({ latencies: z.array(z.number()), startedAt: z.array(z.number()), ended: z.number() });
export type Seen = z.output<typeof seen>;

export interface WorkerProcess {
  /** What it saw since it was asked last. */
  readonly ask: () => Promise<Seen>;
  /** SIGTERM; answers what it saw since it was asked last, its exit code, and ms until it was gone. */
  readonly terminate: () => Promise<Seen & { readonly code: number | null; readonly tookMs: number }>;
}

/** Monotonic ms, the same clock in every process of the machine. */
export const clock = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

export async function startWorkerProcess(
  which: 'ours' | 'theirs',
  server: Pick<Server, 'name' | 'url'>,
  runMs = 0,
): Promise<WorkerProcess> {
  const program = new URL('processes/worker.js', import.meta.url);
  const child: ChildProcess = fork(program, [which, server.name, server.url, String(runMs)], { execArgv: [] });
  const [first]: unknown[] = await once(child, 'message');
  if (first !== 'ready') throw new Error(`the worker process said ${JSON.stringify(first)}`);
  const next = async (): Promise<Seen> => {
    const [message]: unknown[] = await once(child, 'message');
    return seen.parse(message);
  };
  return {
    ask: async () => {
      const answer = next();
      child.send('report');
      return answer;
    },
    terminate: async () => {
      const startedAt = performance.now();
      const answer = next();
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const facts = await answer;
      const [code]: unknown[] = await exit;
      return { ...facts, code: typeof code === 'number' ? code : null, tookMs: performance.now() - startedAt };
    },
  };
}
