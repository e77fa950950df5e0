/**
 * The four append-only logs of a run, outside the fault domain: what producers asked, what workers saw the store accept,
 * what reached the effect sink, and which fault was injected when. One JSON object a line.
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

/** What a writer may add to a line beside the fields every line has. */
type Facts<L extends Line> = Omit<L, 't' | 'actor' | 'seq' | 'id' | 'event'> & { readonly actor?: number };

/** One system call a line: whole however the process ends. */
export function openLog<L extends Line>(path: string): (event: L['event'], id: string, facts: Facts<L>) => void {
  let seq = 0;
  return (event, id, facts) => {
    seq += 1;
    appendFileSync(path, `${JSON.stringify({ t: Date.now(), id, event, actor: process.pid, seq, ...facts })}\n`);
  };
}

interface LogPaths {
  readonly producer: string;
  readonly state: string;
  readonly effects: string;
  readonly faults: string;
}

export const logPaths = (folder: string): LogPaths => ({
  producer: join(folder, 'producer.jsonl'),
  state: join(folder, 'state.jsonl'),
  effects: join(folder, 'effects.jsonl'),
  faults: join(folder, 'faults.jsonl'),
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
