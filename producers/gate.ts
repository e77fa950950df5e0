/** What stands between a checked job and the store: back-pressure, then rates. Jobs without limits wait for neither. */
import type { Backend } from '../backends/backend.ts';
import type { Taken } from '../backends/limiter.ts';
import type { TenantReader } from '../backends/tenants.ts';
import type { Job } from '../jobs/define.ts';
import type { Level } from '../jobs/policy.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { watchPressure } from './back-pressure.ts';
import type { LimitedError } from './errors.ts';
import { openAddRates, type Rated } from './rates.ts';

/** What the gate reads of a job that is about to be added. */
export interface Arriving extends Rated {
  readonly options: { readonly level?: Level | undefined };
  readonly acceptedAt: number;
}

export interface Gate {
  /** The store or the queue is too full for them. A promise only where it has to be asked. */
  refusal(arriving: readonly Arriving[]): LimitedError | undefined | Promise<LimitedError | undefined>;
  /** Counts them, or throws `LimitedError`. Undefined where nothing is counted. */
  count(arriving: readonly Arriving[]): Promise<Taken> | undefined;
}

export function openGate(
  backend: Pick<Backend, 'fullness' | 'limiter' | 'queue'>,
  tenants: TenantReader,
  metrics?: Partial<Pick<Metrics, 'addsRefused' | 'rateLimited'>>,
): Gate {
  const pressure = watchPressure(backend, ({ name }, reason) => metrics?.addsRefused?.inc({ queue: name, reason }));
  const rates = openAddRates(backend, tenants, (by) => metrics?.rateLimited?.inc({ tenant_class: by }));
  return {
    refusal(arriving) {
      const [only] = arriving;
      if (only !== undefined && arriving.length === 1)
        return pressure.refusal(only.job, only.options.level ?? 'normal', only.acceptedAt);
      const asked = Array.from(byJobAndLevel(arriving), ({ job, level, now, count }) =>
        pressure.refusal(job, level, now, count),
      );
      if (asked.some((answer) => answer instanceof Promise)) return firstRefusal(asked);
      return asked.find((answer): answer is LimitedError => answer !== undefined && !(answer instanceof Promise));
    },
    count: (arriving) => rates.take(arriving),
  };
}

async function firstRefusal(
  asked: readonly (LimitedError | undefined | Promise<LimitedError | undefined>)[],
): Promise<LimitedError | undefined> {
  for (const answer of asked) {
    const refusal = await answer;
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function byJobAndLevel(arriving: readonly Arriving[]) {
  const groups = new Map<string, { job: Job; level: Level; now: number; count: number }>();
  for (const { job, options, acceptedAt } of arriving) {
    const level = options.level ?? 'normal';
    const key = `${job.name} ${level}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { job, level, now: acceptedAt, count: 1 });
    else group.count += 1;
  }
  return groups.values();
}
