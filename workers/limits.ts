/**
 * Limits of a tenant and of a limit key: a claim that is too many is put off without an attempt spent. Places are leases
 * on the store, renewed from here while their attempts run, so that those of a worker that died come back by themselves.
 */
import type { Backend } from '../backends/backend.ts';
import type { Limiter } from '../backends/limiter.ts';
import { premiumFactor, type TenantReader, tenantReader, usualTenant } from '../backends/tenants.ts';
import type { Job } from '../jobs/define.ts';
import { type JobError, tryAgainIn } from '../jobs/errors.ts';
import { isRateOfAdds } from '../jobs/policy.ts';
import type { Claim } from './claim.ts';

export interface AttemptLimits {
  /** A place for this claim, or when it may try again (verdict `later`). Rejects when the store does not answer. */
  enter(claim: Claim): Promise<Place | JobError>;
  /** Ends the renewals. */
  close(): void;
}

export interface Place {
  /** `isLost`: another run of the job has the lease, and the place with it. Never rejects. */
  leave(isLost: boolean): Promise<void>;
}

export interface LimitParts {
  readonly job: Job;
  readonly backend: Pick<Backend, 'limiter' | 'records'>;
  readonly leaseMs: number;
  readonly random: () => number;
  readonly onError: (error: unknown) => void;
}

/** What one kind of limit allows the claims of one key. */
interface Limit {
  readonly of: 'perKey' | 'perTenant';
  readonly keyOf: (claim: Claim) => string | undefined;
  readonly concurrency: number | undefined;
  readonly starts: Limiter | undefined;
  /** Of a limit per tenant, for tenants of that tier. */
  readonly premium: Limiter | undefined;
}

/** Put off for concurrency: at first a quarter of a second, twice as long each time, up to five. */
const shortestMs = 250;
const longestMs = 5_000;
/** A key that was full a moment ago is taken to be full still: a flood of one tenant need not ask for each of its jobs. */
const fullForMs = 100;
const keysRemembered = 1_000;

/** Undefined for a type without such limits: the usual case, which pays nothing. */
export function openLimits(parts: LimitParts): AttemptLimits | undefined {
  const limits = limitsOf(parts);
  if (limits.length === 0) return undefined;
  const places = openPlaces(parts);
  const tenants = tenantReader(parts.backend.records);
  return {
    async enter(claim) {
      const wanted = limits.flatMap((limit) => {
        const key = limit.keyOf(claim);
        return key === undefined ? [] : [{ limit, key }];
      });
      const held: string[] = [];
      for (const { limit, key } of wanted) {
        if (limit.concurrency === undefined) continue;
        const name = `place:${claim.queue}:${limit.of}:${key}`;
        const most = (await agreedWith(limit, key, tenants)).limits.concurrency ?? limit.concurrency;
        if (await places.take(name, claim.id, most)) {
          held.push(name);
          continue;
        }
        await places.giveBack(held, claim.id);
        return tryAgainIn(pause(claim, parts.random), 'LIMITED', sentence(limit, `runs ${most} at a time`));
      }
      for (const { limit, key } of wanted) {
        const isPremium = limit.premium !== undefined && (await agreedWith(limit, key, tenants)).tier === 'premium';
        const taken = await (isPremium ? limit.premium : limit.starts)?.take(key);
        if (taken === undefined || taken.isAllowed) continue;
        await places.giveBack(held, claim.id);
        // Not all of them in the first moment of the next window.
        const spreadMs = parts.random() * Math.min(1_000, taken.resetMs / 10);
        return tryAgainIn(taken.resetMs + spreadMs, 'LIMITED', sentence(limit, `has started its ${taken.limit}`));
      }
      return { leave: (isLost) => (isLost ? places.forget(held, claim.id) : places.giveBack(held, claim.id)) };
    },
    close: () => places.close(),
  };
}

function limitsOf({ job, backend }: LimitParts): Limit[] {
  const open = (of: Limit['of'], keyOf: Limit['keyOf']): Limit[] => {
    const { concurrency, rate } = job.policy[of];
    const limiterOf = (factor: number): Limiter | undefined =>
      rate === undefined || isRateOfAdds(of, rate)
        ? undefined
        : backend.limiter(`start:${of}:${job.name}`, rate.points * factor, rate.windowMs);
    const starts = limiterOf(1);
    const premium = of === 'perTenant' ? limiterOf(premiumFactor) : undefined;
    return concurrency === undefined && starts === undefined ? [] : [{ of, keyOf, concurrency, starts, premium }];
  };
  return [...open('perTenant', ({ tenant }) => tenant), ...open('perKey', ({ limitKey }) => limitKey)];
}

/** A limit key is nobody one could agree with. */
function agreedWith({ of }: Limit, key: string, tenants: TenantReader) {
  return of === 'perTenant' ? tenants.of(key) : usualTenant;
}

function pause(claim: Claim, random: () => number): number {
  const before = Math.max(0, claim.fence - claim.attempt);
  const ceilingMs = Math.min(longestMs, shortestMs * 2 ** Math.min(before + 1, 10));
  return shortestMs + random() * (ceilingMs - shortestMs);
}

function sentence({ of }: Limit, what: string): string {
  return `${of === 'perTenant' ? 'This tenant' : 'This limit key'} ${what}; the job is put off (policy.${of}).`;
}

/** The places this process holds. */
function openPlaces({ backend: { records }, leaseMs, onError }: LimitParts) {
  const ttlMs = Math.max(2_000, 2 * leaseMs);
  const held = new Map<string, { readonly name: string; readonly holder: string; readonly max: number }>();
  const fullUntil = new Map<string, number>();
  const idOf = (name: string, holder: string): string => `${name}\n${holder}`;
  const renew = async (): Promise<void> => {
    for (const { name, holder, max } of held.values()) await records.acquire(name, holder, max, ttlMs);
  };
  const timer = setInterval(() => void renew().catch(onError), ttlMs / 4).unref();
  const forget = async (names: readonly string[], holder: string): Promise<void> => {
    for (const name of names) held.delete(idOf(name, holder));
  };
  return {
    async take(name: string, holder: string, max: number): Promise<boolean> {
      if (Date.now() < (fullUntil.get(name) ?? 0)) return false;
      const isMine = await records.acquire(name, holder, max, ttlMs);
      if (isMine) held.set(idOf(name, holder), { name, holder, max });
      else {
        if (fullUntil.size >= keysRemembered) fullUntil.clear();
        fullUntil.set(name, Date.now() + fullForMs);
      }
      return isMine;
    },
    forget,
    async giveBack(names: readonly string[], holder: string): Promise<void> {
      await forget(names, holder);
      for (const name of names) {
        fullUntil.delete(name);
        // What is not given back ends with its lease.
        await records.release(name, holder).catch(onError);
      }
    },
    close: () => clearInterval(timer),
  };
}
