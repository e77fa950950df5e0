/** How many worker processes a queue wants. Pure. */

export interface Load {
  /** Jobs that could start now. */
  readonly backlog: number;
  /** Attempts running now. */
  readonly active: number;
  /** Attempts that ended a second, of late. */
  readonly endedPerS: number;
  /** How long an attempt takes; undefined when none has ended of late. */
  readonly meanS: number | undefined;
  /** Attempts at once in one worker process. */
  readonly concurrency: number;
  /** Attempts at once in the whole fleet; undefined = no limit. */
  readonly most: number | undefined;
  /** A job shall wait no longer than this. */
  readonly targetAgeS: number;
}

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/**
 * Work that keeps coming (Little's law: arrivals × duration = attempts at once; what arrives beyond what ends shows in the
 * backlog) and the backlog worked off within the target age, in attempts at once, over the attempts of one process. Never
 * fewer than run now: an attempt of an hour is no reason to stop its worker. While nobody knows how long an attempt
 * takes, one process is enough to find out.
 */
export function desiredReplicas(load: Load, { min, max }: Bounds): number {
  const { backlog, active, endedPerS, meanS, concurrency, most, targetAgeS } = load;
  const wanted = meanS === undefined ? Math.sign(backlog) : endedPerS * meanS + (backlog * meanS) / targetAgeS;
  const useful = Math.max(active, Math.min(wanted, most ?? Number.POSITIVE_INFINITY));
  return Math.max(min, Math.min(max, Math.ceil(round(useful / concurrency))));
}

/** 1.0000000000000002 processes are one. */
const round = (value: number): number => Math.round(value * 1e9) / 1e9;
