/**
 * BullMQ takes the client's time: a worker whose clock is off starts delayed jobs early and uses up schedule slots. So the
 * store's clock is read every ten seconds and carried on in between by the monotonic clock, which nobody can set. A clock
 * that is set while the worker runs is off from that moment on, before any timer has noticed.
 */

const clockLimitMs = 2_000;
const checkEveryMs = 10_000;
const lookEveryMs = 250;

export interface StoreClock {
  /** The store's clock minus ours, ms; 0 before the first answer. Costs no call. */
  readonly offMs: () => number;
  /** Whether it was compared with the store at all. */
  readonly isKnown: () => boolean;
  /** The store's time, epoch ms. */
  readonly now: () => number;
  /** True within the limit. To be asked before every claim. */
  readonly isRight: () => boolean;
  /** A sentence when this clock is off; undefined when it is not. */
  problem(): string | undefined;
  stop(): void;
}

export interface ClockParts {
  readonly storeNow: () => Promise<number>;
  readonly onChange: (problem: string | undefined) => void;
  /** After each comparison. */
  readonly onCompared?: (offMs: number) => void;
  /** Default 10,000. */
  readonly everyMs?: number;
  /** How soon a clock that was set is told of; claims stop at once in any case. Default 250. */
  readonly lookMs?: number;
  /** For tests: `Date.now` and `performance.now`. */
  readonly wall?: () => number;
  readonly steady?: () => number;
}

/** Compares at once. A store that does not answer says nothing about the clock: what is known is carried on. */
export async function watchClock(parts: ClockParts): Promise<StoreClock> {
  const { wall = Date.now, steady = () => performance.now() } = parts;
  let known: { readonly store: number; readonly at: number } | undefined;
  let problem: string | undefined;
  const offMs = (): number => (known === undefined ? 0 : Math.round(known.store + (steady() - known.at) - wall()));
  const isRight = (): boolean => Math.abs(offMs()) <= clockLimitMs;
  const judge = (): void => {
    const next = isRight() ? undefined : sentence(offMs());
    if ((next === undefined) === (problem === undefined)) return;
    problem = next;
    parts.onChange(next);
  };
  const compare = async (): Promise<void> => {
    const before = steady();
    const store = await parts.storeNow().catch(() => undefined);
    const after = steady();
    // An answer that took so long does not tell what time it is.
    if (store === undefined || after - before > clockLimitMs) return;
    known = { store, at: (before + after) / 2 };
    parts.onCompared?.(offMs());
    judge();
  };
  let comparing: Promise<void> | undefined;
  const compareOnce = (): void => {
    comparing ??= compare().finally(() => {
      comparing = undefined;
    });
  };
  await compare();
  let hasLooked = false;
  const look = (): void => {
    if (isRight()) {
      hasLooked = false;
      return judge();
    }
    // The machine may have slept, and its clock be right: the store says.
    if (!hasLooked) compareOnce();
    else judge();
    hasLooked = true;
  };
  const timers = [
    setInterval(compareOnce, parts.everyMs ?? checkEveryMs),
    setInterval(look, parts.lookMs ?? lookEveryMs),
  ];
  return {
    offMs,
    isKnown: () => known !== undefined,
    now: () => wall() + offMs(),
    isRight,
    problem: () => problem,
    stop: () => {
      for (const timer of timers) clearInterval(timer);
    },
  };
}

function sentence(offMs: number): string {
  return `The clock of this machine is ${Math.abs(offMs)} ms ${offMs > 0 ? 'behind' : 'ahead of'} the store's, at most ${clockLimitMs} are allowed; set it (NTP).`;
}
