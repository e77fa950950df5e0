/**
 * Pauses with an owner, a reason and an end. A queue: BullMQ's own pause, which every worker obeys at once, beside the
 * record that says who wants it. A tenant: the record alone; workers read it and put its jobs off.
 *
 * The record is the truth and the queue follows it (`settle`), so that a crash between the two, or two operators at the
 * same moment, leave no pause that nobody owns and none that nobody obeys.
 */
import { z } from 'zod';
import type { Backend, Chore, RecordStore } from './backend.ts';
import { nameSet } from './name-set.ts';
import { readAll, write } from './operator-record.ts';

const stored = z.object({
  by: z.string(),
  reason: z.string(),
  /** Since when, epoch ms of the store's clock. */
  at: z.number(),
  /** When it ends by itself, epoch ms; absent: when somebody ends it. */
  until: z.number().optional(),
});
export type Pause = z.output<typeof stored>;

/** What an operator says. `forMs`: for so long; absent: until it is resumed. */
export interface PauseWish {
  readonly by: string;
  readonly reason: string;
  readonly forMs?: number;
}

export interface Pauses {
  /** The running jobs of the queue finish, nothing is claimed from it any more. The latest wish stands. */
  pauseQueue(queue: string, wish: PauseWish): Promise<Pause>;
  /** Does nothing to a queue that is not paused. */
  resumeQueue(queue: string): Promise<void>;
  /** By queue. One that something else paused, without a record, has the owner `unknown`. */
  queues(names: readonly string[]): Promise<Map<string, Pause>>;
  pauseTenant(tenant: string, wish: PauseWish): Promise<Pause>;
  resumeTenant(tenant: string): Promise<void>;
  tenants(): Promise<Map<string, Pause>>;
}

type Parts = Pick<Backend, 'control' | 'now' | 'queue' | 'records'>;

const queueKey = (queue: string): string => `pause:${queue}`;
const tenantKey = (tenant: string): string => `pause:tenant:${tenant}`;
const setName = 'paused-tenants';
const choreEveryMs = 5_000;

export function createPauses(backend: Parts): Pauses {
  const { control, records } = backend;
  const pausedTenants = nameSet(records, setName);
  const pauseOf = async ({ by, reason, forMs }: PauseWish): Promise<Pause> => {
    const at = await backend.now();
    return { by, reason, at, ...(forMs === undefined ? {} : { until: at + forMs }) };
  };
  return {
    async pauseQueue(queue, wish) {
      const pause = await pauseOf(wish);
      await write(records, queueKey(queue), pause);
      await settle(backend, queue);
      return pause;
    },
    async resumeQueue(queue) {
      const [before] = await readAll(records, [queueKey(queue)], stored);
      // An end in the past first: whoever finds it, after a crash too, resumes the queue and removes the record.
      if (before !== undefined) await write(records, queueKey(queue), { ...before.value, until: 0 });
      else await backend.queue(queue).resume();
      await settle(backend, queue);
    },
    async queues(names) {
      const now = await backend.now();
      const found = await readAll(records, names.map(queueKey), stored);
      const isPaused = await Promise.all(names.map((name) => backend.queue(name).isPaused()));
      const paused = new Map<string, Pause>();
      for (const [index, name] of names.entries()) {
        const pause = found[index]?.value;
        if (pause !== undefined && isOn(pause, now)) paused.set(name, pause);
        else if (pause === undefined && isPaused[index] === true)
          paused.set(name, { by: 'unknown', reason: 'paused without a record', at: 0 });
      }
      return paused;
    },
    async pauseTenant(tenant, wish) {
      const pause = await pauseOf(wish);
      await write(records, tenantKey(tenant), pause, wish.forMs ?? null);
      await pausedTenants.add(tenant);
      await control.send({ kind: 'pause', tenant });
      return pause;
    },
    async resumeTenant(tenant) {
      await write(records, tenantKey(tenant), null);
      await forget(records, [tenant]);
      await control.send({ kind: 'pause', tenant });
    },
    tenants: async () => {
      const names = await pausedTenants.list();
      const found = await readAll(records, names.map(tenantKey), stored);
      return new Map(
        names.flatMap((name, index) => {
          const pause = found[index]?.value;
          return pause === undefined ? [] : [[name, pause] as const];
        }),
      );
    },
  };
}

function isOn({ until }: Pause, now: number): boolean {
  return until === undefined || until > now;
}

/**
 * Makes the queue what its record says, and looks again whether that is still so. Without a record nothing is touched but
 * what this call itself has paused for a record that is gone by now.
 */
async function settle(backend: Parts, queue: string): Promise<void> {
  const key = queueKey(queue);
  for (let hasPaused = false; ; ) {
    const [before] = await readAll(backend.records, [key], stored);
    if (before === undefined && !hasPaused) return;
    const isPaused = before !== undefined && isOn(before.value, await backend.now());
    if (isPaused) await backend.queue(queue).pause();
    else await backend.queue(queue).resume();
    hasPaused = isPaused;
    if (before === undefined) continue;
    const [after] = await readAll(backend.records, [key], stored);
    if (after?.version !== before.version) continue;
    if (isPaused || (await backend.records.compareAndSet(key, before.version, null, null))) return;
  }
}

/** Ends pauses whose time is over, and completes what a crash left half done. For the keeper. */
export function pauseChore(parts: {
  readonly backend: Parts;
  readonly queues: readonly string[];
  readonly onEnded: (what: { readonly queue: string; readonly pause: Pause }) => void;
}): Chore {
  const { backend, queues, onEnded } = parts;
  return {
    name: 'end pauses',
    everyMs: choreEveryMs,
    async run(signal) {
      const found = await readAll(backend.records, queues.map(queueKey), stored);
      const now = await backend.now();
      for (const [index, queue] of queues.entries()) {
        const pause = found[index]?.value;
        if (pause === undefined || signal.aborted) continue;
        const isPaused = isOn(pause, now);
        if (isPaused && (await backend.queue(queue).isPaused())) continue;
        await settle(backend, queue);
        if (!isPaused) onEnded({ queue, pause });
      }
      await forgetEnded(backend.records);
    },
  };
}

async function forgetEnded(records: RecordStore): Promise<void> {
  const listed = await nameSet(records, setName).list();
  const found = await records.get(listed.map(tenantKey));
  await forget(
    records,
    listed.filter((_, index) => found[index] === undefined),
  );
}

/** Drops names from the list; one that was paused anew at this moment is put back. */
async function forget(records: RecordStore, tenants: readonly string[]): Promise<void> {
  if (tenants.length === 0) return;
  const names = nameSet(records, setName);
  await names.remove(tenants);
  const found = await records.get(tenants.map(tenantKey));
  for (const [index, tenant] of tenants.entries()) if (found[index] !== undefined) await names.add(tenant);
}
