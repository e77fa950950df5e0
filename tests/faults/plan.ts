/** What every key of a run is to do: a pure function of seed, scenario and number, so that logs need not say it. */
import { isFatal } from './jobs/caged/bombs.ts';
import type { EffectKind } from './logs.ts';

export interface Work {
  readonly key: string;
  /** `kill`: ends its own process. `block`: computes for `ms` without a pause. */
  readonly act: 'work' | 'kill' | 'block' | 'bomb';
  /** How long the handler takes. */
  readonly ms: number;
  readonly effect: EffectKind | 'none';
  /** So many bytes of ballast. */
  readonly pad: string;
}

export interface Load {
  /** `caged`: every attempt in a child. Default `load`. */
  readonly type?: 'load' | 'caged';
  /** Beside it the three tick types run by their schedules. */
  readonly isScheduled?: boolean;
  /** Jobs a second, the long ones included. */
  readonly rate: number;
  /** Run time of a usual job. Default 30 to 50 ms. */
  readonly ms?: readonly [number, number];
  /** So many of them a second take `longMs`. Default none. */
  readonly longPerS?: number;
  /** Default 3,000. */
  readonly longMs?: number;
  /** One in so many jobs does `act` instead of working. */
  readonly special?: {
    readonly every: number;
    readonly act: Work['act'];
    readonly ms?: number;
    readonly isBad: boolean;
    /** The first so many jobs are usual ones. Default 0. */
    readonly from?: number;
  };
  /** No more jobs than this. */
  readonly most?: number;
  /** Every job waits this long before it may start. */
  readonly delayMs?: number;
  /** Bytes of ballast in each payload. Default 0. */
  readonly padBytes?: number;
}

/** A load that leaves its rate to the run. */
export type AnyRate = Omit<Load, 'rate'> & { readonly rate?: number };

/** The load of most scenarios: short jobs as fast as the store carries, and eight of 3 s each second. */
export const usualLoad: AnyRate = { longPerS: 8 };

/** mulberry32: small, seeded, good enough to choose victims. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const keyOf = (seed: number, n: number): string => `${seed}-${n}`;
export const numberOf = (key: string): number => Number(key.slice(key.indexOf('-') + 1));

const kinds: readonly EffectKind[] = ['mail', 'hook', 'delta'];

const kindOf = (n: number): EffectKind => kinds[Math.floor(n / 3) % 3] ?? 'mail';

export function workOf(load: Load, key: string): Work {
  const n = numberOf(key);
  const { special, padBytes = 0 } = load;
  const pad = 'x'.repeat(padBytes);
  const own = load.type === 'caged' ? 'none' : kindOf(n);
  if (special !== undefined && isSpecial(load, n))
    return { key, act: special.act, ms: special.ms ?? 0, effect: special.isBad ? 'none' : own, pad };
  if (isLong(load, n)) return { key, act: 'work', ms: load.longMs ?? 3_000, effect: own, pad };
  const [from, to] = load.ms ?? [30, 50];
  return { key, act: 'work', ms: Math.round(from + (to - from) * createRandom(n)()), effect: own, pad };
}

/** The last of each group, so that a neighbour is under way before it. */
function isSpecial({ special }: Load, n: number): boolean {
  return special !== undefined && n >= (special.from ?? 0) && n % special.every === special.every - 1;
}

/** Spread evenly. */
function isLong({ longPerS = 0, rate }: Load, n: number): boolean {
  return Math.floor(((n + 1) * longPerS) / rate) > Math.floor((n * longPerS) / rate);
}

/** Meant to become a dead letter. */
export function isBad(load: Load, key: string): boolean {
  const n = numberOf(key);
  if (load.special?.isBad !== true || !isSpecial(load, n)) return false;
  return load.special.act !== 'bomb' || isFatal(n);
}
