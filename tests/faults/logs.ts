/**
 * The append-only logs of a run, outside the fault domain: what producers asked, what workers saw the store accept,
 * what reached the effect sink, which fault was injected when; and two of what was measured each second. One JSON object
 * a line.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Line {
  /** Epoch ms. */
  readonly t: number;
  /** A producer's key, a job id, or the name of a fault. */
  readonly id: string;
  readonly event: string;
  /** Process number of who wrote it, or of whom a fault struck. */
  readonly actor: number;
  /** Counts the lines of one writer. */
  readonly seq: number;
}

export interface ProducerLine extends Line {
  /** `unknown`: the call failed in a way that does not say whether the job was stored. */
  readonly event: 'attempt' | 'accepted' | 'refused' | 'unknown';
  /** The job id of an accepted call. */
  readonly job?: string;
  /** Accepted, and known before: an earlier call of unknown outcome had stored it. */
  readonly duplicate?: boolean;
  readonly reason?: string;
}

export interface StateLine extends Line {
  /** `claimed` and the ends are what the store answered; `started` is the handler. `failed` is an end only where `final`. */
  readonly event: 'claimed' | 'started' | 'completed' | 'failed';
  readonly fence: number;
  readonly final?: boolean;
  readonly reason?: string;
}

/** `mail`: nobody drops duplicates. `hook`: the receiver drops those with the same key. `delta`: a row with fence and mark. */
export type EffectKind = 'mail' | 'hook' | 'delta';

export interface EffectLine extends Line {
  readonly event: 'applied' | 'repeated' | 'refused';
  readonly kind: EffectKind;
  readonly key: string;
  readonly fence: number;
}

export interface FaultLine extends Line {
  readonly event: 'inject' | 'heal' | 'kill' | 'term' | 'exit';
  readonly code?: number | null;
  readonly signal?: string | null;
}

/** Jobs of the store by state, in one look, and what the producer knew before and after it. */
export interface SampleLine extends Line {
  readonly event: 'sample';
  readonly counts: Readonly<Record<string, number>>;
  /** Calls answered with a job before the look. */
  readonly accepted: number;
  /** Calls made by the end of the look, those left out that were refused for certain before it. */
  readonly called: number;
}

/** What a worker process says of itself each second; counters run from its start. */
export interface VitalsLine extends Line, Vitals {
  readonly event: 'vitals';
}

export interface Vitals {
  /** Error events of the queue library and its connections: every one, before anything is left out as a repetition. */
  readonly errors: number;
  readonly uptimeS: number;
  readonly rssMb: number;
  readonly fds: number;
  readonly sockets: number;
  /** How late its event loop was: 99 % of all looks were at most so late. */
  readonly loopP99Ms: number;
  /** Its own counters of ends, as Prometheus would read them; absent where there are none. */
  readonly completed?: number;
  readonly failed?: number;
}

/** What a writer may add to a line beside the fields every line has. */
type Facts<L extends Line> = Omit<L, 't' | 'actor' | 'seq' | 'id' | 'event'> & { readonly actor?: number };

/** By a clock that nobody sets while the process runs: some workers have theirs set wrong on purpose. */
const now = (): number => Math.round(performance.timeOrigin + performance.now());

/** One system call a line: whole however the process ends. */
export function openLog<L extends Line>(path: string): (event: L['event'], id: string, facts: Facts<L>) => void {
  let seq = 0;
  return (event, id, facts) => {
    seq += 1;
    appendFileSync(path, `${JSON.stringify({ t: now(), id, event, actor: process.pid, seq, ...facts })}\n`);
  };
}

interface LogPaths {
  readonly producer: string;
  readonly state: string;
  readonly effects: string;
  readonly faults: string;
  readonly samples: string;
  readonly vitals: string;
}

export const logPaths = (folder: string): LogPaths => ({
  producer: join(folder, 'producer.jsonl'),
  state: join(folder, 'state.jsonl'),
  effects: join(folder, 'effects.jsonl'),
  faults: join(folder, 'faults.jsonl'),
  samples: join(folder, 'samples.jsonl'),
  vitals: join(folder, 'vitals.jsonl'),
});

/** In the order written. A file that nobody wrote is an empty log. */
export function readLog<L extends Line>(path: string): L[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as L);
}

export type StateLog = ReturnType<typeof openLog<StateLine>>;

export const openStates = (folder: string): StateLog => openLog<StateLine>(logPaths(folder).state);
