/** Rates per API key: jobs added, and calls of the batch route. A key with the scope `admin` is never limited. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import type { Taken } from '../backends/limiter.ts';
import { premiumFactor } from '../backends/tenants.ts';
import { type Rate, ratePresets } from '../jobs/policy.ts';
import { LimitedError } from './errors.ts';
import type { Credential } from './keys.ts';

/** What a key is counted for. */
export type KeyUse = 'add' | 'batch';

export interface KeyRates {
  /** Throws `LimitedError` when the key's rate is used up. Undefined where nothing is counted. */
  take(use: KeyUse, credential: Credential): Promise<Taken | undefined>;
}

export function openKeyRates(
  backend: Pick<Backend, 'limiter'>,
  rates: Readonly<Record<KeyUse, Rate | undefined>>,
  onLimited: () => void,
): KeyRates {
  const open = (use: KeyUse, factor: number) => {
    const rate = rates[use];
    return rate && { rate, limiter: backend.limiter(`key:${use}`, rate.points * factor, rate.windowMs) };
  };
  const standard = { add: open('add', 1), batch: open('batch', 1) };
  const premium = { add: open('add', premiumFactor), batch: open('batch', premiumFactor) };
  return {
    async take(use, { keyId, scopes, tier }) {
      const limited = (tier === 'premium' ? premium : standard)[use];
      if (limited === undefined || scopes.includes('admin')) return undefined;
      const taken = await limited.limiter.take(keyId);
      if (taken.isAllowed) return taken;
      onLimited();
      const what = use === 'add' ? 'jobs' : 'batches';
      throw new LimitedError(`At most ${taken.limit} ${what} in ${limited.rate.windowMs / 1_000} s with one API key.`, {
        status: 429,
        retryAfterMs: taken.resetMs,
        rate: taken,
      });
    },
  };
}

const presetNames = Object.keys(ratePresets).toSorted().join(', ');
const isPreset = (text: string): text is keyof typeof ratePresets => Object.hasOwn(ratePresets, text);
const ownRate = /^([1-9]\d{0,8})\/([1-9]\d{0,7})$/;

/** `none`, `600/60` (600 in 60 s), or the name of a preset. */
export const rateVariable = z.string().refine((text) => text === 'none' || isPreset(text) || ownRate.test(text), {
  error: `expected none, <points>/<seconds>, or one of ${presetNames}`,
});

/** The value of such a variable; undefined for `none`. */
export function rateOf(text: string): Rate | undefined {
  if (isPreset(text)) return ratePresets[text];
  const [, points, seconds] = ownRate.exec(text) ?? [];
  return points === undefined ? undefined : { points: Number(points), windowMs: Number(seconds) * 1_000 };
}
