/**
 * What a job type allows itself: attempts, waits, limits. One flat value beside the job, overridable at enqueue
 * where `EnqueueOptions` says so; never a central table of special cases.
 */
export interface Policy {
  /** Runs that may fail before the job is a dead letter, the first included. 1–100, default 4. */
  readonly attempts: number;
  /** Exponential backoff with full jitter: attempt n waits a random time up to baseMs × 2^(n−1), at most maxMs. */
  readonly backoff: { readonly baseMs: number; readonly maxMs: number };
  /** Wall-clock limit of one attempt. Default 300,000; the handler's signal aborts at the limit. */
  readonly timeoutMs: number;
  /** How long a handler may take to answer after cancel or shutdown before it is killed (child) or left (in process). Default 5,000. */
  readonly graceMs: number;
  /** Attempts of this type at the same time in one worker process. Default 10. */
  readonly concurrency: number;
  /** `child`: every attempt in a killable process of its own with the limits below. Default `none`. */
  readonly isolation: 'none' | 'child';
  /** Limits of the child; read only with `isolation: 'child'`. */
  readonly child: ChildLimits;
  /** A job older than this is not run any more: dead letter `EXPIRED`. Default 7 days; it also bounds `later`. */
  readonly maxAgeMs: number;
  /**
   * `fair`: tenants and levels share the queue, so that one tenant's flood delays nobody else; an add costs one round
   * trip more. `fifo`: first come, first served. Default `fifo`.
   */
  readonly order: 'fifo' | 'fair';
  /** Over all workers of the type. Its rate is one of starts unless it says otherwise. */
  readonly perQueue: Limits;
  /** For each tenant. Its rate is one of adds unless it says otherwise. */
  readonly perTenant: Limits;
  /** For each value of the job type's `limitKey`. Its rate is one of starts unless it says otherwise. */
  readonly perKey: Limits;
  /** Jobs waiting or delayed in the queue from which on adds are refused. Default 1,000,000. */
  readonly maxDepth: number;
  /**
   * Age of the oldest waiting job in seconds above which adds of level `low` are refused; above twice that `normal`
   * too, above four times everything. 0 = off, the default.
   */
  readonly shedAgeS: number;
  /** A job shall wait no longer than this: `GET /v1/scaling/{queue}` asks for as many worker processes as that takes. Default 60. */
  readonly targetAgeS: number;
}

/** How much at the same time, and how much in a while. An empty object = no limit. */
export interface Limits {
  /** Attempts that run at the same time, in the whole fleet. More are put off by 0.25 to 5 s, without an attempt spent. */
  readonly concurrency?: number;
  readonly rate?: Rate;
}

/** At most `points` in each window of `windowMs` (whole seconds), counted from the first one. */
export interface Rate {
  readonly points: number;
  readonly windowMs: number;
  /** `add`: what is too much is refused (`LIMITED`, HTTP 429). `start`: it is accepted and put off until the next window. */
  readonly at?: 'add' | 'start';
}

const minuteMs = 60_000;
/** Rates by name, for policies (`rate: ratePresets.expensive`), `KEY_RATE_LIMIT` and `BATCH_RATE_LIMIT`. */
export const ratePresets = Object.freeze({
  api: { points: 100, windowMs: minuteMs },
  auth: { points: 5, windowMs: minuteMs },
  bulk: { points: 10, windowMs: 60 * minuteMs },
  expensive: { points: 5, windowMs: 60 * minuteMs },
  premium: { points: 1_000, windowMs: minuteMs },
  read: { points: 1_000, windowMs: minuteMs },
  write: { points: 20, windowMs: minuteMs },
} as const satisfies Readonly<Record<string, Rate>>);

/** How urgent a job is. On a `fair` type shares of the queue go 8 : 4 : 1; on every type `low` is refused first when work piles up. */
export const levels = ['high', 'normal', 'low'] as const;
export type Level = (typeof levels)[number];

/** What a killable child may use. Exceeding `memoryMb` is `SANDBOX_OOM`, `diskMb` is `LIMIT_EXCEEDED`, the others `SANDBOX_CRASH` or `SANDBOX_TIMEOUT`. */
export interface ChildLimits {
  /** Resident memory of the child and all its descendants together. */
  readonly memoryMb: number;
  /** Bytes in the job's folder. */
  readonly diskMb: number;
  /** CPU seconds of the child alone (RLIMIT_CPU). */
  readonly cpuSeconds: number;
  /** Processes of the group. */
  readonly processes: number;
  /** No message from the child for this long ends it; 0 turns the check off. */
  readonly quietMs: number;
}

export const defaultPolicy: Policy = Object.freeze({
  attempts: 4,
  backoff: Object.freeze({ baseMs: 1_000, maxMs: 600_000 }),
  timeoutMs: 300_000,
  graceMs: 5_000,
  concurrency: 10,
  isolation: 'none',
  child: Object.freeze({ memoryMb: 1_024, diskMb: 2_048, cpuSeconds: 600, processes: 32, quietMs: 0 }),
  maxAgeMs: 7 * 24 * 3_600_000,
  order: 'fifo',
  perQueue: Object.freeze({}),
  perTenant: Object.freeze({}),
  perKey: Object.freeze({}),
  maxDepth: 1_000_000,
  shedAgeS: 0,
  targetAgeS: 60,
});

/** Whether a limit's rate is one of adds; the others are of starts. */
export function isRateOfAdds(of: 'perKey' | 'perQueue' | 'perTenant', rate: Rate): boolean {
  return (rate.at ?? (of === 'perTenant' ? 'add' : 'start')) === 'add';
}

/** Why a policy cannot work, in one sentence each; empty when it can. Called by the registry at boot. */
export function policyProblems(policy: Policy): string[] {
  const whole = (name: string, value: number, min: number, max: number): string[] =>
    Number.isInteger(value) && value >= min && value <= max
      ? []
      : [`policy.${name} must be a whole number from ${min} to ${max}, got ${value}`];
  return [
    ...whole('attempts', policy.attempts, 1, 100),
    ...whole('backoff.baseMs', policy.backoff.baseMs, 1, 86_400_000),
    ...whole('backoff.maxMs', policy.backoff.maxMs, policy.backoff.baseMs, 86_400_000),
    ...whole('timeoutMs', policy.timeoutMs, 1, 86_400_000),
    ...whole('graceMs', policy.graceMs, 0, 600_000),
    ...whole('concurrency', policy.concurrency, 1, 10_000),
    ...whole('maxAgeMs', policy.maxAgeMs, 1_000, 366 * 86_400_000),
    ...whole('child.memoryMb', policy.child.memoryMb, 64, 1_048_576),
    ...whole('child.diskMb', policy.child.diskMb, 1, 1_048_576),
    ...whole('child.cpuSeconds', policy.child.cpuSeconds, 1, 86_400),
    ...whole('child.processes', policy.child.processes, 1, 4_096),
    ...whole('child.quietMs', policy.child.quietMs, 0, 86_400_000),
    ...whole('maxDepth', policy.maxDepth, 1, 100_000_000),
    ...whole('shedAgeS', policy.shedAgeS, 0, 31_622_400),
    ...whole('targetAgeS', policy.targetAgeS, 1, 31_622_400),
    ...(['perQueue', 'perTenant', 'perKey'] as const).flatMap((of) => limitProblems(of, policy[of], whole)),
  ];
}

function limitProblems(
  of: string,
  { concurrency, rate }: Limits,
  whole: (name: string, value: number, min: number, max: number) => string[],
): string[] {
  const problems = concurrency === undefined ? [] : whole(`${of}.concurrency`, concurrency, 1, 100_000);
  if (rate === undefined) return problems;
  problems.push(...whole(`${of}.rate.points`, rate.points, 1, 1_000_000_000));
  problems.push(...whole(`${of}.rate.windowMs`, rate.windowMs, 1_000, 366 * 86_400_000));
  if (rate.windowMs % 1_000 !== 0)
    problems.push(`policy.${of}.rate.windowMs must be whole seconds (a multiple of 1000), got ${rate.windowMs}`);
  return problems;
}
