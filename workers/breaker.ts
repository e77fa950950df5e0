/**
 * Circuit breakers: one per dependency, shared by all jobs of a process. Five failures within 30 seconds open it, and
 * nobody calls for 5 to 60 seconds, longer each time. Then one call goes through as a probe while the others stay put
 * off. When it succeeds the circuit closes, and calls come back as a ramp, never all at once: those put off have places
 * of their own in time, and how many run together grows by one with every success.
 */
import {
  BrokenCircuitError,
  CircuitState,
  circuitBreaker,
  DelegateBackoff,
  handleWhen,
  type IBreaker,
} from 'cockatiel';
import { type JobError, nothingHappened, tryAgainIn } from '../jobs/errors.ts';
import type { CircuitSample } from '../runtime/metrics.ts';

/** How a call went: `unknown` = it says nothing of the dependency (cancelled, refused before it was asked). */
export type CallOutcome = 'failed' | 'ok' | 'unknown';

export interface Pass {
  /** Call once, when the call has ended; later calls do nothing. `tries` of a call that was repeated below us and failed each time; default 1. */
  leave(outcome: CallOutcome, tries?: number): void;
}

export interface Breakers {
  /** Throws `DEPENDENCY_DOWN` (later) while the dependency may not be called. */
  enter(name: string): Pass;
  /** Circuits that were asked for lately, at most 100, the open ones first. */
  samples(): readonly CircuitSample[];
}

export interface BreakerOptions {
  readonly onChange?: (name: string, state: CircuitSample['state']) => void;
  /** Default `Math.random`. */
  readonly random?: () => number;
}

const failuresToOpen = 5;
const windowMs = 30_000;
const firstPauseMs = 5_000;
const longestPauseMs = 60_000;
/** Jobs put off by an open circuit come back this far apart, in each process, over at most a minute. */
const placeMs = 20;
const placesMs = 60_000;
/** From so many calls together on the ramp has done its work. */
const rampedUp = 64;
/** Closed circuits are forgotten in the order of their last call: webhooks have as many as there are receivers. */
const mostCircuits = 1_000;
const samplesShown = 100;

export function createBreakers(options: BreakerOptions = {}): Breakers {
  const circuits = new Map<string, Circuit>();
  const forgetSome = (): void => {
    for (const [name, circuit] of circuits) {
      if (circuits.size <= mostCircuits) return;
      if (circuit.isIdle) circuits.delete(name);
    }
  };
  return {
    enter(name) {
      const known = circuits.get(name);
      const circuit = known ?? new Circuit(name, options);
      if (known !== undefined) circuits.delete(name);
      circuits.set(name, circuit);
      if (known === undefined) forgetSome();
      return circuit.enter();
    },
    samples: () =>
      Array.from(circuits, ([name, { state }]) => ({ name, state }))
        .toSorted((a, b) => b.state - a.state)
        .slice(0, samplesShown),
  };
}

class CallFailed extends Error {}

/** cockatiel counts in a row or by share; ours is a number within a time, as operators state it. */
class FailuresInWindow implements IBreaker {
  state: unknown = undefined;
  #at: number[] = [];

  get isQuiet(): boolean {
    const oldest = performance.now() - windowMs;
    return this.#at.every((at) => at <= oldest);
  }
  success(state: CircuitState): void {
    if (state === CircuitState.HalfOpen) this.#at = [];
  }
  failure(): boolean {
    this.note(1);
    return this.#at.length >= failuresToOpen;
  }
  note(times: number): void {
    const now = performance.now();
    const more = Array.from({ length: Math.min(times, failuresToOpen) }, () => now);
    this.#at = [...this.#at.filter((at) => at > now - windowMs), ...more];
  }
}

class Circuit {
  readonly #name: string;
  readonly #random: () => number;
  readonly #failures = new FailuresInWindow();
  readonly #policy;
  #openUntil = 0;
  /** When the last of the jobs put off comes back. */
  #lastPlace = 0;
  #running = 0;
  #allowed = Number.POSITIVE_INFINITY;

  constructor(name: string, { onChange, random = Math.random }: BreakerOptions) {
    this.#name = name;
    this.#random = random;
    const pause = new DelegateBackoff<{ readonly attempt: number }>(({ attempt }) => {
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.max(0, attempt - 1)) * (0.75 + random() / 4);
      this.#openUntil = performance.now() + pauseMs;
      this.#lastPlace = this.#openUntil;
      return pauseMs;
    });
    this.#policy = circuitBreaker(
      handleWhen((error) => error instanceof CallFailed),
      { halfOpenAfter: pause, breaker: this.#failures },
    );
    this.#policy.onReset(() => {
      this.#allowed = 1;
    });
    this.#policy.onStateChange(() => onChange?.(name, this.state));
  }

  get state(): CircuitSample['state'] {
    switch (this.#policy.state) {
      case CircuitState.Closed:
        return 0;
      case CircuitState.HalfOpen:
        return 1;
      case CircuitState.Open:
      case CircuitState.Isolated:
        return 2;
    }
  }

  get isIdle(): boolean {
    return this.state === 0 && this.#running === 0 && this.#failures.isQuiet;
  }

  enter(): Pass {
    const now = performance.now();
    const isOpen = this.state === 2 && now < this.#openUntil;
    if (isOpen || this.state === 1 || this.#running >= this.#allowed) throw this.#putOff(now);
    let settle: (outcome: CallOutcome) => void = () => undefined;
    const call = new Promise<void>((resolve, reject) => {
      settle = (outcome) =>
        outcome === 'ok' ? resolve() : reject(outcome === 'failed' ? new CallFailed() : new Error());
    });
    this.#running += 1;
    // Begins the call at once, and is told how it went; what it rejects with was said to it by us.
    this.#policy
      .execute(() => call)
      .catch((error: unknown) => {
        if (error instanceof BrokenCircuitError) this.#openUntil = performance.now() + firstPauseMs;
      });
    const isProbe = this.#policy.state === CircuitState.HalfOpen;
    let isOver = false;
    return {
      leave: (outcome, tries = 1) => {
        if (isOver) return;
        isOver = true;
        this.#running -= 1;
        if (outcome === 'failed') this.#failures.note(tries - 1);
        this.#ramp(outcome);
        // A probe that says nothing has not shown that the dependency is back.
        settle(isProbe && outcome === 'unknown' ? 'failed' : outcome);
      },
    };
  }

  #ramp(outcome: CallOutcome): void {
    if (outcome === 'failed') this.#allowed = Math.max(1, this.#allowed / 2);
    else if (outcome === 'ok') this.#allowed += 1;
    if (this.#allowed > rampedUp) this.#allowed = Number.POSITIVE_INFINITY;
  }

  /** Places are given out 20 ms apart, so that what was put off together does not come back together. */
  #putOff(now: number): JobError {
    const from = Math.max(now, this.#openUntil, this.#lastPlace) + placeMs;
    const end = Math.max(now, this.#openUntil) + placesMs;
    this.#lastPlace = from > end ? this.#lastPlace : from;
    const at = from > end ? end - this.#random() * placesMs : from;
    return nothingHappened(
      tryAgainIn(
        at - now + this.#random() * placeMs,
        'DEPENDENCY_DOWN',
        `"${this.#name}" failed ${failuresToOpen} times within ${windowMs / 1_000} s or is coming back; it is not asked now`,
      ),
    );
  }
}
