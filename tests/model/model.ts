/** What a store of jobs is, in memory and without clocks: the state of every job after any sequence of calls. */

/** `expired`: running under a lease that is over, until somebody sweeps. */
export type State = 'waiting' | 'delayed' | 'active' | 'expired' | 'completed' | 'failed' | 'cancelled' | 'discarded';

interface ModelJob {
  state: State;
  /** The fence: claims so far, of all runs. */
  claims: number;
  /** Attempts spent in this run. */
  attempts: number;
  /** 1, one more for each redrive. */
  run: number;
  readonly maxAttempts: number;
  /** Cancel was asked for while it ran. */
  cancelling: boolean;
}

export class Model {
  readonly jobs = new Map<string, ModelJob>();
  /** The server of this store may be ended and started again. */
  readonly canRestart: boolean;
  /** Idempotency keys: the job each has made, and its payload. */
  readonly keys = new Map<string, { readonly id: string; readonly payload: number }>();

  constructor(canRestart: boolean) {
    this.canRestart = canRestart;
  }

  idsIn(...states: readonly State[]): string[] {
    return [...this.jobs].filter(([, { state }]) => states.includes(state)).map(([id]) => id);
  }

  job(id: string): ModelJob {
    const found = this.jobs.get(id);
    if (found === undefined) throw new Error(`the model knows no ${id}`);
    return found;
  }

  add(id: string, maxAttempts: number, delayed: boolean): void {
    const state = delayed ? 'delayed' : 'waiting';
    this.jobs.set(id, { state, claims: 0, attempts: 0, run: 1, maxAttempts, cancelling: false });
  }

  claim(id: string): void {
    const job = this.job(id);
    job.state = 'active';
    job.claims += 1;
  }

  complete(id: string): void {
    const job = this.job(id);
    job.state = 'completed';
    job.attempts += 1;
  }

  fail(id: string, verdict: 'dead' | 'retry'): void {
    const job = this.job(id);
    job.attempts += 1;
    job.state = verdict === 'dead' || job.attempts >= job.maxAttempts ? 'failed' : 'waiting';
  }

  /** Every job whose lease is over waits again. */
  sweep(): string[] {
    const ids = this.idsIn('expired');
    for (const id of ids) this.interrupt(id);
    return ids;
  }

  /** A hand-back and a lost lease: the job waits again, no attempt is spent. */
  interrupt(id: string): void {
    this.job(id).state = 'waiting';
  }

  cancel(id: string): 'cancelled' | 'cancelling' | 'ended' {
    const job = this.job(id);
    switch (job.state) {
      case 'waiting':
      case 'delayed':
        job.state = 'cancelled';
        return 'cancelled';
      case 'active':
      case 'expired':
        job.cancelling = true;
        return 'cancelling';
      case 'completed':
      case 'failed':
        return 'ended';
      case 'cancelled':
      case 'discarded':
        return 'cancelled';
    }
  }

  redrive(id: string): void {
    const job = this.job(id);
    job.state = 'waiting';
    job.attempts = 0;
    job.run += 1;
  }

  /** What `status` says; undefined when nobody knows the id any more. */
  shown(id: string): string | undefined {
    const { state, cancelling } = this.job(id);
    if (state === 'discarded') return cancelling ? 'cancelled' : undefined;
    if (state === 'expired') return 'active';
    return state;
  }
}
