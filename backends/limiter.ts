/** Rates counted in fixed windows on the backend's store, for all processes together. */

import type { Cluster, Redis } from 'ioredis';
import type { Pool } from 'pg';
import { type RateLimiterAbstract, RateLimiterPostgres, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';

/** What is left of a rate after it was asked. */
export interface Taken {
  readonly isAllowed: boolean;
  /** Points of a whole window. */
  readonly limit: number;
  /** Points left in this one. */
  readonly remaining: number;
  /** Until the next window. */
  readonly resetMs: number;
}

export interface Limiter {
  /** Takes `points` (default 1) of `key`, all of them or none. */
  take(key: string, points?: number): Promise<Taken>;
}

/** `windowMs` in whole seconds. */
export type OpenLimiter = (keyPrefix: string, points: number, windowMs: number) => Limiter;

// The library's own script counts what it refuses, so that a bulk that does not fit would use up what a smaller one could
// still have. First the counter is made, so that its end is known, then it grows only as far as the limit.
const takeAllOrNone = `
  redis.call('SET', KEYS[1], 0, 'EX', ARGV[2], 'NX')
  local taken, ttl = tonumber(redis.call('GET', KEYS[1])), redis.call('PTTL', KEYS[1])
  if taken + ARGV[1] > tonumber(ARGV[3]) then return {taken + ARGV[1], ttl} end
  return {redis.call('INCRBY', KEYS[1], ARGV[1]), ttl}`;

export function redisLimiters(client: Cluster | Redis): OpenLimiter {
  return (keyPrefix, points, windowMs) =>
    limiterOf(
      points,
      new RateLimiterRedis({
        storeClient: client,
        keyPrefix: `jobfleet:rate:${keyPrefix}`,
        points,
        duration: windowMs / 1_000,
        customIncrTtlLuaScript: takeAllOrNone,
      }),
      // Nothing was counted.
      async () => undefined,
    );
}

export function postgresLimiters(pool: Pool): OpenLimiter {
  return (keyPrefix, points, windowMs) => {
    const limiter = new RateLimiterPostgres({
      storeClient: pool,
      storeType: 'pool',
      schemaName: 'jobfleet',
      tableName: 'rate',
      tableCreated: true,
      // A chore of the keeper does it.
      clearExpiredByTimeout: false,
      keyPrefix,
      points,
      duration: windowMs / 1_000,
    });
    // One refused point too many changes nothing: the window is used up.
    return limiterOf(points, limiter, async (key, asked) => {
      if (asked > 1) await limiter.reward(key, asked);
    });
  };
}

/** `giveBack`: undoes what a refused call has counted. */
function limiterOf(
  limit: number,
  limiter: Pick<RateLimiterAbstract, 'consume'>,
  giveBack: (key: string, points: number) => Promise<void>,
): Limiter {
  return {
    async take(key, points = 1) {
      try {
        const left = await limiter.consume(key, points);
        return { isAllowed: true, limit, remaining: left.remainingPoints, resetMs: Math.max(0, left.msBeforeNext) };
      } catch (error) {
        // The library rejects with its answer when the limit is reached, and with an error when the store failed.
        if (!(error instanceof RateLimiterRes)) throw error;
        await giveBack(key, points);
        const remaining = Math.max(0, limit - (error.consumedPoints - points));
        return { isAllowed: false, limit, remaining, resetMs: Math.max(0, error.msBeforeNext) };
      }
    },
  };
}
