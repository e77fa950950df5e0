/** A process that dies at its nth call to the store: before the store has it, or before the answer comes back. */
import type { IQueueBackend, Queue } from 'bullmq';
import type { Backend, RecordStore } from '../../backends/backend.ts';

export type Moment = 'before' | 'after';

export interface Mortal {
  /** The real store, for as long as the process lives. */
  readonly backend: Backend;
  readonly isDead: () => boolean;
  /** What ends by the clock: the leases that the dead process holds. */
  readonly leasesEnd: () => Promise<void>;
}

type Step = <T>(call: () => Promise<T>) => Promise<T>;

/** `diesAt` counts from 1. */
export function mortal(real: Backend, diesAt: number, moment: Moment): Mortal {
  let calls = 0;
  let isDead = false;
  const leases: [key: string, holder: string][] = [];
  const step: Step = async (call) => {
    if (isDead) throw new Error('a dead process calls nobody');
    calls += 1;
    if (calls !== diesAt) return call();
    isDead = true;
    if (moment === 'after') await call();
    throw new Error(`the process died ${moment} call ${calls}`);
  };
  const { records } = real;
  const mortalRecords: RecordStore = {
    putIfAbsent: (...args) => step(() => records.putIfAbsent(...args)),
    compareAndSet: (...args) => step(() => records.compareAndSet(...args)),
    get: (keys) => step(() => records.get(keys)),
    acquire: (key, holder, ...args) =>
      step(async () => {
        leases.push([key, holder]);
        return records.acquire(key, holder, ...args);
      }),
    release: (...args) => step(() => records.release(...args)),
    expire: (...args) => step(() => records.expire(...args)),
    list: (prefix) => step(() => records.list(prefix)),
  };
  return {
    isDead: () => isDead,
    leasesEnd: async () => {
      for (const [key, holder] of leases) await records.release(key, holder);
    },
    backend: {
      ...real,
      records: mortalRecords,
      add: (...args) => step(() => real.add(...args)),
      addMany: (...args) => step(() => real.addMany(...args)),
      queue: (...args) => mortalQueue(real.queue(...args), step),
    },
  };
}

/** The same queue, whose jobs call the store step by step. */
function mortalQueue(queue: Queue, step: Step): Queue {
  const stepping = new Proxy(queue.getBackend(), {
    get(target: IQueueBackend, name) {
      const found: unknown = Reflect.get(target, name);
      if (typeof found !== 'function' || local.has(String(name))) return found;
      return (...args: unknown[]) => step(async () => Reflect.apply(found, target, args));
    },
  });
  return Object.create(queue, { backend: { value: stepping } });
}

/** What asks no store. */
const local = new Set(['clientName', 'emit', 'off', 'on', 'once', 'toKey']);
