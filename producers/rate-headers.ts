/** What an answer says of the rate it was counted by: `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds). */
import type { Taken } from '../backends/limiter.ts';

/** Empty where nothing was counted. */
export function rateHeaders(rate: Taken | undefined): Record<string, string> {
  if (rate === undefined) return {};
  return {
    'x-ratelimit-limit': String(rate.limit),
    'x-ratelimit-remaining': String(rate.remaining),
    'x-ratelimit-reset': String(Math.ceil(rate.resetMs / 1_000)),
  };
}
