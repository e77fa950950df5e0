/** Tenants that are paused, as this process knows them: jobs of theirs are put off without an attempt. */
import type { Backend } from '../backends/backend.ts';
import { createPauses, type Pause } from '../backends/pauses.ts';
import { type JobError, tryAgainIn } from '../jobs/errors.ts';
import { keepRead } from './reread.ts';

export interface TenantPauses {
  /** Why a job of the tenant is put off; undefined when it may run. */
  readonly refusal: (tenant: string) => JobError | undefined;
  stop(): Promise<void>;
}

export interface TenantPauseParts {
  readonly backend: Pick<Backend, 'control' | 'now' | 'queue' | 'records'>;
  readonly onError: (error: unknown) => void;
  /** Epoch ms. */
  readonly now: () => number;
  readonly random: () => number;
  /** Default 5,000. */
  readonly rereadMs?: number;
}

export async function watchTenantPauses(parts: TenantPauseParts): Promise<TenantPauses> {
  const { backend, now, random } = parts;
  const pauses = createPauses(backend);
  let paused: ReadonlyMap<string, Pause> = new Map();
  const stop = await keepRead({
    control: backend.control,
    kind: 'pause',
    read: async () => {
      paused = await pauses.tenants();
    },
    onError: parts.onError,
    ...(parts.rereadMs === undefined ? {} : { everyMs: parts.rereadMs }),
  });
  return {
    stop,
    refusal: (tenant) => {
      const pause = paused.get(tenant);
      if (pause === undefined) return undefined;
      const { by, until } = pause;
      if (until !== undefined && until <= now()) return undefined;
      const end = until === undefined ? '' : ` until ${new Date(until).toISOString()}`;
      return tryAgainIn(putOffMs(pause, now(), random()), 'PAUSED', `Tenant ${tenant} is paused${end}, by ${by}.`);
    },
  };
}

const leastMs = 1_000;
const mostMs = 60_000;

/** The longer the pause has lasted, the seldomer its jobs ask; spread, so that they do not all ask in the same second. */
export function putOffMs({ at, until }: Pick<Pause, 'at' | 'until'>, now: number, random: number): number {
  const fairMs = Math.min(mostMs, Math.max(leastMs, (now - at) / 2));
  const spreadMs = Math.round(fairMs * (0.75 + random / 2));
  return until === undefined ? spreadMs : Math.min(spreadMs, Math.max(leastMs, until - now));
}
