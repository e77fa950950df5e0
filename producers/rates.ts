/** Rates of adds: what a job type allows per queue, per tenant and per limit key. What is too much is refused with 429. */
import type { Backend } from '../backends/backend.ts';
import type { Limiter, Taken } from '../backends/limiter.ts';
import { premiumFactor, type TenantReader } from '../backends/tenants.ts';
import type { Job } from '../jobs/define.ts';
import { isRateOfAdds, type Rate } from '../jobs/policy.ts';
import { LimitedError } from './errors.ts';

/** What a rate needs to know of a job. */
export interface Rated {
  readonly job: Job;
  readonly tenant: string;
  readonly limitKey: string | undefined;
}

/** What was limited; a label of `jobfleet_rate_limited_total`. */
export type RatedBy = 'key' | 'limit-key' | 'queue' | 'tenant';

export interface AddRates {
  /**
   * Takes a point of every rate for each job, or throws `LimitedError`. Answers the rate with the least left. Undefined,
   * at once, for jobs without any: the usual case.
   */
  take(jobs: readonly Rated[]): Promise<Taken> | undefined;
}

interface OpenRate {
  readonly by: RatedBy;
  readonly rate: Rate;
  readonly limiter: Limiter;
  /** Of a rate per tenant, for tenants of that tier. */
  readonly premium: Limiter | undefined;
  readonly keyOf: (rated: Rated) => string | undefined;
}

export function openAddRates(
  backend: Pick<Backend, 'limiter'>,
  tenants: TenantReader,
  onLimited: (by: RatedBy) => void,
): AddRates {
  const byType = new Map<Job, readonly OpenRate[]>();
  const ratesOf = (job: Job): readonly OpenRate[] => {
    const known = byType.get(job);
    if (known !== undefined) return known;
    const rates = openRates(backend, job);
    byType.set(job, rates);
    return rates;
  };
  return {
    take(jobs) {
      if (jobs.every(({ job }) => ratesOf(job).length === 0)) return undefined;
      return takeAll(countPoints(jobs, ratesOf), tenants, onLimited);
    },
  };
}

function openRates(backend: Pick<Backend, 'limiter'>, { name, policy }: Job): OpenRate[] {
  const open = (of: 'perKey' | 'perQueue' | 'perTenant', by: RatedBy, keyOf: OpenRate['keyOf']): OpenRate[] => {
    const { rate } = policy[of];
    if (rate === undefined || !isRateOfAdds(of, rate)) return [];
    const limiterOf = (factor: number) => backend.limiter(`add:${by}:${name}`, rate.points * factor, rate.windowMs);
    return [
      { by, rate, keyOf, limiter: limiterOf(1), premium: by === 'tenant' ? limiterOf(premiumFactor) : undefined },
    ];
  };
  return [
    ...open('perKey', 'limit-key', ({ limitKey }) => limitKey),
    ...open('perTenant', 'tenant', ({ tenant }) => tenant),
    ...open('perQueue', 'queue', () => 'all'),
  ];
}

interface Asked {
  readonly open: OpenRate;
  readonly key: string;
  readonly type: string;
  points: number;
}

/** One question per rate and key, however many jobs there are. */
function countPoints(jobs: readonly Rated[], ratesOf: (job: Job) => readonly OpenRate[]): Asked[] {
  const asked = new Map<string, Asked>();
  for (const rated of jobs)
    for (const open of ratesOf(rated.job)) {
      const key = open.keyOf(rated);
      if (key === undefined) continue;
      const name = `${rated.job.name} ${open.by} ${key}`;
      const known = asked.get(name);
      if (known === undefined) asked.set(name, { open, key, type: rated.job.name, points: 1 });
      else known.points += 1;
    }
  return [...asked.values()];
}

/** Points taken of one rate stay taken when the next one refuses: the call was one of those that the first rate counts. */
async function takeAll(
  asked: readonly Asked[],
  tenants: TenantReader,
  onLimited: (by: RatedBy) => void,
): Promise<Taken> {
  let least: Taken = {
    isAllowed: true,
    limit: Number.POSITIVE_INFINITY,
    remaining: Number.POSITIVE_INFINITY,
    resetMs: 0,
  };
  for (const { open, key, type, points } of asked) {
    const isPremium = open.premium !== undefined && (await tenants.of(key)).tier === 'premium';
    const taken = await (isPremium ? open.premium : open.limiter).take(key, points);
    if (!taken.isAllowed) {
      onLimited(open.by);
      throw new LimitedError(sentence(open, type, points, taken.limit), {
        status: 429,
        retryAfterMs: taken.resetMs,
        rate: taken,
      });
    }
    if (taken.remaining < least.remaining) least = taken;
  }
  return least;
}

const whose = { key: 'from one API key', 'limit-key': 'with one limit key', queue: 'in all', tenant: 'for one tenant' };

function sentence({ by, rate }: OpenRate, type: string, points: number, limit: number): string {
  const per = rate.windowMs === 1_000 ? 'a second' : `in ${rate.windowMs / 1_000} s`;
  const tooLarge = points > limit ? ` These ${points} never fit: send fewer at a time.` : '';
  return `At most ${limit} jobs of ${type} ${per} ${whose[by]}.${tooLarge}`;
}
