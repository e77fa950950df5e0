/**
 * What takes several calls to the store, with a process that dies at every one of them in turn: before the store has the
 * call, and after. Whoever comes next finishes the work, and finds what the model says.
 */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Backend } from '../../backends/backend.ts';
import { createDeadLetters } from '../../backends/dead-letters.ts';
import { readRun, runKey } from '../../backends/run-record.ts';
import { changeRecord, type Declaration, readRecord, scheduleKey } from '../../backends/schedule-record.ts';
import { slotJobId, slotOf } from '../../backends/slot-id.ts';
import { createClient } from '../../producers/client.ts';
import { parseClaim } from '../../workers/claim.ts';
import { createOnce } from '../../workers/services/once.ts';
import { createSlots } from '../../workers/slots.ts';
import { type Moment, type Mortal, mortal } from './mortal.ts';
import type { Held, Side, Store } from './real.ts';
import { onEveryStore, timeoutMs } from './stores.ts';

interface Scene {
  readonly act: (backend: Backend) => Promise<unknown>;
  readonly check: (life: Mortal) => Promise<void>;
}

/** Plays a fresh scene for every call that it makes, until the process lives through it; answers how often it died. */
async function everywhere(store: Store, scene: () => Promise<Scene>): Promise<number> {
  let deaths = 0;
  for (const moment of ['before', 'after'] satisfies Moment[])
    for (let call = 1; ; call += 1) {
      const { act, check } = await scene();
      const life = mortal(store.sides[0].backend, call, moment);
      const failed = await act(life.backend).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(life.isDead() ? undefined : failed).toBeUndefined();
      await life.leasesEnd();
      await check(life);
      await store.clear();
      if (!life.isDead()) break;
      deaths += 1;
    }
  return deaths;
}

let tokens = 0;
async function claim({ worker }: Side): Promise<Held | undefined> {
  tokens += 1;
  const token = `everywhere-${tokens}`;
  const job = await worker.getNextJob(token, { block: false });
  return job && { job, token };
}

async function claimed(side: Side): Promise<Held> {
  const held = await claim(side);
  if (held === undefined) throw new Error('expected a job that waits');
  return held;
}

onEveryStore('a process that dies at any call', (opened) => {
  it(
    'accepts a job with a key once',
    async () => {
      const store = opened();
      const { type, registry } = store;
      const [, { client }] = store.sides;
      const deaths = await everywhere(store, async () => {
        const options = { idempotencyKey: randomUUID() };
        return {
          act: (backend) => createClient({ backend, registry }).enqueue(type, { n: 1 }, options),
          async check() {
            const { id } = await client.enqueue(type, { n: 1 }, options);
            expect(await client.enqueue(type, { n: 1 }, options)).toMatchObject({ id, duplicate: true });
            expect(await client.status(id)).toMatchObject({ status: 'waiting' });
            await expect(client.enqueue(type, { n: 2 }, options)).rejects.toMatchObject({
              code: 'IDEMPOTENCY_MISMATCH',
            });
            expect(await store.sides[1].backend.queue(type.name).getWaitingCount()).toBe(1);
          },
        };
      });
      expect(deaths).toBeGreaterThanOrEqual(4);
    },
    timeoutMs,
  );

  it(
    'redrives a dead letter once, with its patch and one note of why it failed',
    async () => {
      const store = opened();
      const { type } = store;
      const [first, second] = store.sides;
      const deaths = await everywhere(store, async () => {
        const { id } = await first.client.enqueue(type, { n: 1 }, { attempts: 1 });
        const { job, token } = await claimed(first);
        await job.moveToFailed(new Error('dead'), token, false);
        const redrive = (backend: Backend) =>
          createDeadLetters({ backend, queues: [type.name], checkPayload: () => undefined }).redrive(type.name, id, {
            patch: { n: 5 },
          });
        return {
          act: redrive,
          async check() {
            const before = await second.client.status(id);
            expect(await redrive(second.backend)).toMatchObject(
              before?.status === 'failed' ? { state: 'redriven', run: 2 } : { state: 'refused', reason: 'GONE' },
            );
            const [history] = await second.backend.records.get([runKey(type.name, id)]);
            expect(readRun(history?.value)).toMatchObject({ run: 2, failures: [{ message: 'dead' }] });
            const again = await claimed(second);
            expect(again.job).toMatchObject({ id, data: { n: 5 }, attemptsMade: 0, attemptsStarted: 2 });
            expect(await claim(second)).toBeUndefined();
            await again.job.moveToCompleted({}, again.token, false);
          },
        };
      });
      expect(deaths).toBeGreaterThanOrEqual(8);
    },
    timeoutMs,
  );

  it.each(['skip', 'repeat'] as const)(
    'does an effect once: %s when nobody knows',
    async (whenUnknown) => {
      const store = opened();
      const queue = store.type.name;
      const [first, second] = store.sides;
      const deaths = await everywhere(store, async () => {
        const { id } = await first.client.enqueue(store.type, { n: 1 });
        const effects: number[] = [];
        const run = async ({ records }: Backend, { job }: Held): Promise<string> => {
          const fence = job.attemptsStarted;
          const once = createOnce(records, { queue, id, fence });
          const { state } = await once.begin('effect', whenUnknown);
          if (state !== 'run') return state;
          effects.push(fence);
          await once.end('effect', { fence });
          return state;
        };
        const held = await claimed(first);
        return {
          act: (backend) => run(backend, held),
          async check() {
            const [record] = await second.backend.records.get([`once:${queue}:${id}:effect`]);
            const known: unknown = record === undefined ? 'unused' : JSON.parse(record.value).state;
            const happened = effects.length;
            await store.loseLease(id);
            const state = await run(second.backend, await claimed(second));
            if (known === 'begun' && whenUnknown === 'skip') {
              expect([state, effects.length]).toEqual(['skip', happened]);
              return;
            }
            expect(state).toBe(known === 'done' ? 'done' : 'run');
            expect(effects).toHaveLength(known === 'begun' ? happened + 1 : 1);
            await store.loseLease(id);
            expect(await run(first.backend, await claimed(first))).toBe('done');
          },
        };
      });
      expect(deaths).toBeGreaterThanOrEqual(4);
    },
    timeoutMs,
  );

  it.each([
    ['a tick with two that were missed', 'all', [-2_000, -1_000, 0]],
    ['a tick, and the one after it', 'once', [0, 1_000]],
  ] as const)(
    'runs each slot of a schedule once: %s',
    async (_what, missed, wanted) => {
      const store = opened();
      const { type } = store;
      const [first, second] = store.sides;
      let slot = Math.ceil(Date.now() / 60_000) * 60_000;
      const deaths = await everywhere(store, async () => {
        slot += 60_000;
        const now = slot;
        const done: number[] = [];
        await declare(store, { missed, since: slot - 3_000 });
        const add = (at: number) => addTick(second.backend, type.name, at);
        await add(slot);
        const held = await claimed(first);
        return {
          act: (backend) => runTick(store, backend, held, now, done),
          async check() {
            if (!done.includes(slot)) await store.loseLease(slotJobId(type.name, slot));
            if (missed === 'once') await add(slot + 1_000);
            await drain(store, now, done);
            expect(done).toEqual(wanted.map((after) => slot + after));
            const [record] = await second.backend.records.get([scheduleKey(type.name)]);
            expect(readRecord(record?.value)).toMatchObject({ open: [], slot: slot + (wanted.at(-1) ?? 0) });
            expect(await second.backend.queue(type.name).getCompletedCount()).toBe(wanted.length);
          },
        };
      });
      expect(deaths).toBeGreaterThanOrEqual(8);
    },
    timeoutMs,
  );
});

async function declare(
  { type, sides: [{ backend }] }: Store,
  more: Pick<Declaration, 'missed' | 'since'>,
): Promise<void> {
  const rule = {
    cron: '* * * * * *',
    timeZone: 'UTC',
    overlap: 'queue' as const,
    json: '{}',
    attempts: 3,
    priority: 0,
  };
  await changeRecord(backend.records, type.name, () => ({
    write: { release: '1.0.0', open: [], declared: { ...rule, ...more } },
  }));
}

async function addTick(backend: Backend, type: string, slot: number): Promise<void> {
  const options = { attempts: 3, backoff: { type: 'policy' } };
  await backend.add(type, { id: slotJobId(type, slot), name: type, json: '{}', timestamp: Date.now(), options });
}

/** One attempt of a tick, as a worker makes it. */
async function runTick({ type }: Store, backend: Backend, held: Held, now: number, done: number[]): Promise<void> {
  const { job, token } = held;
  const slots = createSlots({
    backend,
    cancel: () => Promise.reject(new Error('nothing is replaced here')),
    onSkipped: () => undefined,
    onDropped: () => undefined,
    now: () => now,
    random: () => 0,
  });
  const one = parseClaim(job, type);
  const slot = slotOf(type.name, one.id) ?? Number.NaN;
  const admission = await slots.admit(one, slot, { state: 'run', alone: false });
  if (admission.state === 'refused') {
    await job.moveToDelayed(Date.now() + 3_600_000, token);
    return;
  }
  await job.moveToCompleted({}, token, false);
  if (admission.state !== 'run') return;
  done.push(slot);
  await slots.ended(one, slot, { state: 'done' });
}

/** Until nothing waits. A job in line that nobody woke asks again when its delay is over. */
async function drain(store: Store, now: number, done: number[]): Promise<void> {
  const [, side] = store.sides;
  const queue = side.backend.queue(store.type.name);
  for (let turns = 0; turns < 20; turns += 1) {
    const held = await claim(side);
    if (held !== undefined) {
      await runTick(store, side.backend, held, now, done);
      continue;
    }
    const [late] = await queue.getDelayed(0, 0);
    if (late === undefined) return;
    await late.promote();
  }
}
