/** A worker process under a supervisor: says how it is, and does not outlive it. */
import { Worker } from 'node:worker_threads';
import type { Metrics } from '../runtime/metrics.ts';
import type { Shutdown } from '../runtime/shutdown.ts';
import type { Fleet } from '../workers/main.ts';
import { type FromWorker, fromSupervisor, stateEveryMs } from './supervision.ts';

export interface SupervisedParts {
  readonly fleet: Pick<Fleet, 'active' | 'live'>;
  /** Why it claims nothing, or should not. */
  readonly ready: () => Promise<string | undefined>;
  readonly metrics: Pick<Metrics, 'families'>;
  readonly shutdown: Pick<Shutdown, 'begin'>;
  /** How long the way out may take once the supervisor has gone. */
  readonly graceMs: number;
}

/** Throws when nobody started this process as a supervisor does. */
export function reportToSupervisor(parts: SupervisedParts): { readonly where: string; close(): Promise<void> } {
  if (process.send === undefined)
    throw new Error('--supervised is for the processes that `jobfleet worker --processes` starts.');
  const say = (message: FromWorker): void => {
    // Gone meanwhile: `disconnect` tells.
    if (process.connected) process.send?.(message);
  };
  const sayState = async (): Promise<void> =>
    say({
      kind: 'state',
      live: parts.fleet.live() ?? null,
      ready: (await parts.ready()) ?? null,
      active: parts.fleet.active(),
      memoryMb: Math.round(process.memoryUsage.rss() / 1_048_576),
    });
  process.on('message', (message: unknown) => {
    const asked = fromSupervisor.safeParse(message);
    if (!asked.success) return;
    void parts.metrics.families().then((families) => say({ kind: 'metrics', id: asked.data.id, families }));
  });
  process.once('disconnect', () => {
    void parts.shutdown.begin('the supervisor has gone').then((code) => process.exit(code));
  });
  // The supervisor read them; what is written after its end must not end this process before its jobs.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  dieAfterParent(parts.graceMs);
  void sayState();
  const timer = setInterval(() => void sayState(), stateEveryMs);
  return { where: 'its supervisor', close: async () => clearInterval(timer) };
}

/**
 * A handler that blocks the main loop also keeps it from hearing that the supervisor has gone. A thread sees it by the
 * parent's id and ends the process when the way out has had its time. In one string: a thread of source text needs no
 * file of its own, neither compiled nor from source.
 */
function dieAfterParent(graceMs: number): void {
  const source = `
    const { workerData } = require('node:worker_threads');
    const parent = process.ppid;
    const timer = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(timer);
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), workerData.graceMs);
    }, 1000);`;
  new Worker(source, { eval: true, workerData: { graceMs }, execArgv: [] }).unref();
}
