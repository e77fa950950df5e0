/** What this worker says of itself to the fleet, every ten seconds; a record that is a minute old is gone. */
import { hostname } from 'node:os';
import type { RecordStore } from '../backends/backend.ts';
import { aliveMs, putWorker, removeWorker } from '../backends/worker-list.ts';
import type { CircuitSample, WorkerSample } from '../runtime/metrics.ts';
import { createLatency, type Latency } from './latency.ts';

export interface HeartbeatParts {
  readonly records: RecordStore;
  /** Unique in the fleet. */
  readonly instance: string;
  readonly version: string;
  readonly samples: () => readonly WorkerSample[];
  /** Circuit breakers of this process, the open ones first. */
  readonly circuits: () => readonly CircuitSample[];
  /** Why nothing is claimed now. */
  readonly problem: () => string | undefined;
  /** The store's clock minus ours, ms; undefined before it was compared. */
  readonly clockOffMs: () => number | undefined;
  /** The store no longer has what it was told a moment ago: it was emptied, or another one without it took over. */
  readonly onForgotten: () => void;
  readonly onError: (error: unknown) => void;
  /** Default 10,000. */
  readonly everyMs?: number;
}

export interface Heartbeat {
  /** An attempt has ended. */
  readonly note: (queue: string, durationMs: number) => void;
  /** Says it at once: something changed that operators wait for. */
  readonly beat: () => void;
  /** Takes the record away. Call once. */
  stop(): Promise<void>;
}

const minuteMs = 60_000;

/** The first beat is the caller's, when there is something to say. A store that does not answer costs a line in the log, nothing else. */
export function startHeartbeat(parts: HeartbeatParts): Heartbeat {
  const { records, instance } = parts;
  const all = createLatency();
  const byQueue = new Map<string, Latency>();
  const startedAt = Date.now();
  let beating: Promise<void> | undefined;
  let isWanted = false;
  let knownAt: number | undefined;
  const say = async (): Promise<void> => {
    const offMs = parts.clockOffMs();
    const { p50Ms, p95Ms } = all.summary(minuteMs);
    const samples = parts.samples();
    const saidAt = performance.now();
    const wasKnown = await putWorker(records, instance, {
      host: hostname(),
      pid: process.pid,
      version: parts.version,
      startedAt: startedAt + (offMs ?? 0),
      beatAt: Date.now() + (offMs ?? 0),
      clockOffMs: offMs ?? null,
      memoryMb: Math.round(process.memoryUsage.rss() / 1_048_576),
      active: samples.reduce((sum, { active }) => sum + active, 0),
      p50Ms,
      p95Ms,
      notClaiming: parts.problem() ?? null,
      circuits: parts.circuits().filter(({ state }) => state > 0),
      queues: samples.map((sample) => ({ ...sample, ...latencyOf(byQueue.get(sample.queue)) })),
    });
    // After most of its life the record may have gone by itself.
    if (!wasKnown && knownAt !== undefined && saidAt - knownAt < aliveMs / 2) parts.onForgotten();
    knownAt = saidAt;
  };
  const sayAll = async (): Promise<void> => {
    // What changes while it is being said is said again.
    while (isWanted) {
      isWanted = false;
      await say();
    }
  };
  const beat = (): void => {
    isWanted = true;
    beating ??= sayAll()
      .catch(parts.onError)
      .finally(() => {
        beating = undefined;
      });
  };
  const timer = setInterval(beat, parts.everyMs ?? 10_000);
  return {
    beat,
    note: (queue, durationMs) => {
      all.note(durationMs);
      let latency = byQueue.get(queue);
      if (latency === undefined) byQueue.set(queue, (latency = createLatency()));
      latency.note(durationMs);
    },
    async stop() {
      clearInterval(timer);
      await beating;
      await removeWorker(records, instance).catch(parts.onError);
    },
  };
}

function latencyOf(latency: Latency | undefined) {
  const minute = latency?.summary(minuteMs);
  const five = latency?.summary(5 * minuteMs);
  return {
    ended: minute?.ended ?? 0,
    p50Ms: minute?.p50Ms ?? null,
    p95Ms: minute?.p95Ms ?? null,
    ended5m: five?.ended ?? 0,
    meanMs5m: five?.meanMs ?? null,
  };
}
