/** What a tenant may ask of a dependency, counted by all workers of the fleet together. */
import type { Backend } from '../../backends/backend.ts';
import { nothingHappened, tryAgainIn } from '../../jobs/errors.ts';
import type { HttpRequest } from '../../jobs/ports.ts';

/** Takes a call from what the tenant may do with the dependency, or throws `LIMITED` (later). */
export type TakeQuota = (quota: NonNullable<HttpRequest['quota']>, dependency: string, tenant: string) => Promise<void>;

/** Limiters are made once: a handler declares the same few quotas in every job. */
export function createQuotas(backend: Pick<Backend, 'limiter'>, random: () => number = Math.random): TakeQuota {
  const limiters = new Map<string, ReturnType<Backend['limiter']>>();
  return async ({ points, windowMs }, dependency, tenant) => {
    const name = `call:${dependency}:${points}:${windowMs}`;
    const limiter = limiters.get(name) ?? backend.limiter(`call:${dependency}`, points, windowMs);
    limiters.set(name, limiter);
    const taken = await limiter.take(tenant);
    if (taken.isAllowed) return;
    // Not all of them in the first moment of the next window.
    const waitMs = taken.resetMs + random() * Math.min(60_000, taken.resetMs / 10);
    const said = `this tenant has asked "${dependency}" ${points} times within ${windowMs / 1_000} s, as often as it may`;
    throw nothingHappened(tryAgainIn(waitMs, 'LIMITED', said));
  };
}
