/** What a file under scenarios/ exports as `scenario`. */
import type { Arena } from './arena.ts';
import type { SideResult } from './judge-run.ts';
import type { AnyRate } from './plan.ts';
import type { StoreName, StoreServer } from './servers.ts';

export interface Target {
  /** What was asked for, in words. */
  readonly what: string;
  readonly measured: number;
  readonly limit: number;
  readonly unit: string;
}

export interface Scenario {
  /** The fault in a few words. */
  readonly title: string;
  readonly stores: readonly StoreName[];
  /** Without a rate: that of the run. */
  readonly load: AnyRate;
  /** Default 3. */
  readonly workers?: number;
  /** Default 10. */
  readonly concurrency?: number;
  /** Default 5,000: the short profile. */
  readonly leaseMs?: number;
  /** Default 10,000. */
  readonly shutdownMs?: number;
  /** True: nobody works until the scenario starts the workers. Not for stores that a worker has to make. */
  readonly startsIdle?: boolean;
  /** Mostly waiting: may run beside another such row. */
  readonly isLight?: boolean;
  /** Skipped, and said so, for another user. */
  readonly needsRoot?: boolean;
  /** Stores that may lose acknowledged writes here: figures, never "passed". */
  readonly needsLedger?: readonly StoreName[];
  /** Default: the plain server of the store. */
  readonly server?: (store: StoreName, folder: string) => Promise<StoreServer>;
  /** The faults, from the moment the load runs; it decides how long that is. */
  readonly inject: (arena: Arena) => Promise<void>;
  /** Why there is no peer. Default: there is one. */
  readonly withoutStock?: string;
  /** How long the drain may take, in ms. Default 180,000. */
  readonly drainMs?: number;
  /** A drain in which nothing changes for so long is given up, in ms. Default 60,000. */
  readonly stalledMs?: number;
  /** What a worker of ours has to say in its log, at `warn` or above, after the first fault; how soon is measured. */
  readonly alert?: RegExp;
  /** Times that are promised. They are reported as met or missed; counts decide about red. */
  readonly targets?: (ours: SideResult, arena: Arena) => readonly Target[];
  /** What must hold beyond the invariants, in sentences about what does not. */
  readonly problems?: (ours: SideResult, arena: Arena) => readonly string[] | Promise<readonly string[]>;
}
