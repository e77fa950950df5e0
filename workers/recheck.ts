/**
 * Looks again at job types that could not run here (a program may be installed, a secret's file mounted, meanwhile), and
 * at the programs of those that can: what is uninstalled under a running worker must not make its jobs fail.
 */
import type { Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { type Availability, lookAt, type Provided, type ServedType } from './availability.ts';

export interface RecheckParts {
  readonly registry: Registry;
  readonly values: Readonly<Record<string, string | undefined>>;
  readonly has: Provided;
  readonly available: Availability;
  /** Begins to serve it. A rejection is reported, and the type looked at again. */
  readonly onFound: (served: ServedType) => Promise<void>;
  /** Stops serving it: what runs goes on. */
  readonly onLost: (served: ServedType, reason: string) => void;
  readonly onError: (job: Job, error: unknown) => void;
  /** Default 60,000. */
  readonly everyMs?: number;
}

/** Keeps `available` up to date until it is stopped. */
export function recheckUnavailable(parts: RecheckParts): { stop(): Promise<void> } {
  const { registry, available } = parts;
  let isStopped = false;
  let round: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const look = async (job: Job): Promise<void> => {
    const found = await lookAt(registry, job, parts.values, parts.has);
    if (isStopped) return;
    if ('reason' in found) {
      available.unavailable.set(job.name, found.reason);
      return;
    }
    await parts.onFound(found);
    available.unavailable.delete(job.name);
    available.served.push(found);
  };
  const lookFor = async (served: ServedType): Promise<void> => {
    const reason = await served.handler.missing();
    const at = available.served.indexOf(served);
    if (reason === undefined || isStopped || at < 0) return;
    available.served.splice(at, 1);
    available.unavailable.set(served.job.name, reason);
    parts.onLost(served, reason);
  };
  const lookAtAll = async (): Promise<void> => {
    // A copy: what is gone leaves the list.
    const served = available.served.slice();
    for (const one of served)
      if (!isStopped) await lookFor(one).catch((error: unknown) => parts.onError(one.job, error));
    for (const name of available.unavailable.keys()) {
      const job = registry.jobs.get(name);
      if (job !== undefined && !isStopped) await look(job).catch((error: unknown) => parts.onError(job, error));
    }
  };
  const plan = (): void => {
    if (isStopped) return;
    timer = setTimeout(() => {
      round = lookAtAll().finally(plan);
    }, parts.everyMs ?? 60_000).unref();
  };
  plan();
  return {
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await round;
    },
  };
}
