/** What the harness needs of a queue; ours and stock BullMQ each fill it in. */

import type { Vitals } from './logs.ts';
import type { Load, Work } from './plan.ts';
import type { JobCounts } from './records.ts';
import type { FinalRecord, StockAddress } from './types.ts';

export interface SideSettings {
  readonly side: 'ours' | 'stock';
  /** QUEUE_URL of ours. */
  readonly url: string;
  /** The same server, or one like it, for the peer. */
  readonly stock: StockAddress;
  readonly folder: string;
  readonly sinkPort: number;
  readonly leaseMs: number;
  readonly shutdownMs: number;
  readonly concurrency: number;
  readonly seed: number;
  readonly load: Load;
  /** Only the producer: jobs it may have in flight, and where it goes on counting. */
  readonly from: number;
}

export interface RunningWorker {
  /** Why the platform should restart this process, as its liveness probe is told; undefined when it should not. */
  live(): string | undefined;
  /** What it has counted so far. */
  counters(): Promise<Pick<Vitals, 'completed' | 'errors' | 'failed'>>;
  /** Declares the schedules of that round, as a deploy of a newer release does; resolves when the store has them. */
  declare(round: number): Promise<void>;
  stop(): Promise<void>;
}

export interface Side {
  /** Stores the job under its key; the same key is the same job. */
  add(work: Work, delayMs?: number): Promise<{ readonly id: string; readonly duplicate: boolean }>;
  /** Claims when it resolves. `stop` waits as long as the settings say and hands back what it can. */
  startWorker(): Promise<RunningWorker>;
  /** Jobs by state. */
  counts(): Promise<JobCounts>;
  records(): Promise<FinalRecord[]>;
  close(): Promise<void>;
}

/** Set in the environment of every process of a run. */
export const settingsVariable = 'FAULTS_SETTINGS';

export function readSettings(): SideSettings {
  return JSON.parse(process.env[settingsVariable] ?? '') as SideSettings;
}

export async function openSide(settings: SideSettings): Promise<Side> {
  if (settings.side === 'ours') return (await import('./side-ours.ts')).openOurs(settings);
  return (await import('./side-stock.ts')).openStock(settings);
}
