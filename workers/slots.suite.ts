/** One run per slot, with two fleets over one store and slots that are put there by hand: no waiting for a clock. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Job as StoredJob } from 'bullmq';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { until } from '../backends/conformance-stage.ts';
import { redriveOne } from '../backends/redrive.ts';
import {
  changeRecord,
  type Declaration,
  pauseKey,
  readRecord,
  type ScheduleRecord,
  scheduleKey,
} from '../backends/schedule-record.ts';
import { slotJobId, tickJobId } from '../backends/slot-id.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { type Client, createClient } from '../producers/client.ts';
import { parseEnv } from '../runtime/env.ts';
import { createLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { openFolderStore } from '../runtime/object-store-folder.ts';
import { workersEnv } from './env.ts';
import { type Fleet, startWorkers } from './main.ts';

const type = 'ticking';

/** `open` is called twice and must open one store. */
export function slotTests(name: string, open: (first?: Backend) => Promise<Backend>): void {
  describe(`one run per slot: ${name}`, () => {
    let [folder, slot] = ['', 0];
    let objects: ObjectStore;
    let client: Client;
    const backends: Backend[] = [];
    const fleets: Fleet[] = [];
    const store = (): Backend => {
      const [first] = backends;
      if (first === undefined) throw new Error('not open yet');
      return first;
    };
    const record = async (): Promise<ScheduleRecord> => {
      const [stored] = await store().records.get([scheduleKey(type)]);
      return readRecord(stored?.value);
    };
    const declare = (more: Partial<Declaration>, since = slot): Promise<unknown> =>
      changeRecord(store().records, type, ({ slot: decided }) => {
        const rule = { cron: '* * * * * *', timeZone: 'UTC', missed: 'once', overlap: 'skip' } as const;
        const declared = { ...rule, json: '{}', attempts: 3, priority: 0, since, ...more };
        return { write: { release: '1.0.0', open: [], declared, ...(decided === undefined ? {} : { slot: decided }) } };
      });
    const add = (at: number, payload: object = {}, id = tickJobId(type, at)): Promise<string> => {
      const options = { attempts: 3, backoff: { type: 'policy' } };
      return store().add(type, { id, name: type, json: JSON.stringify(payload), timestamp: Date.now(), options });
    };
    const ended = (id: string): Promise<StoredJob> =>
      until(async () => {
        const job: StoredJob | undefined = await store().queue(type).getJob(id);
        if (job?.finishedOn === undefined) throw new Error(`${id} is ${await job?.getState()}`);
        return job;
      });
    const marks = async (what: string, at: number): Promise<number> => {
      let count = 0;
      for await (const _mark of objects.list(`t/-/${what}/${slotJobId(type, at)}/`)) count += 1;
      return count;
    };
    const starts = (at: number): Promise<number> => marks('started', at);
    const running = (at: number): Promise<unknown> => until(async () => expect(await starts(at)).toBe(1));

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'jobfleet-slots-'));
      objects = await openFolderStore(join(folder, 'objects'));
      backends.push(await open());
      backends.push(await open(store()));
      await store().queue(type).obliterate({ force: true });
      const registry = await loadRegistry(new URL('../tests/support/schedule-jobs/', import.meta.url), {
        leastIntervalMs: 1_000,
      });
      client = createClient({ backend: store(), registry });
      for (const backend of backends) {
        const log = createLog({ name: 'test', level: 'silent' });
        const env = parseEnv(workersEnv, { WORK_DIR: folder });
        const more = { metrics: createMetrics(), env, handlerEnv: {} };
        fleets.push(await startWorkers({ registry, backend, client, objects, log, ...more }));
      }
    });
    beforeEach(() => {
      // A minute of its own for each test, ahead of the clock.
      slot = Math.max(slot, Math.ceil(Date.now() / 60_000) * 60_000) + 60_000;
    });
    afterAll(async () => {
      for (const fleet of fleets) await fleet.stop(2_000);
      await store().queue(type).obliterate({ force: true });
      const [stored] = await store().records.get([scheduleKey(type)]);
      if (stored !== undefined) await store().records.compareAndSet(scheduleKey(type), stored.version, null, null);
      for (const backend of backends.toReversed()) await backend.close();
      await objects.close();
      await rm(folder, { recursive: true, force: true });
    });

    test('two jobs that come for one slot, on two workers: one runs', async () => {
      await declare({});
      const ids = await Promise.all([add(slot, { ms: 100 }), add(slot, { ms: 100 }, slotJobId(type, slot))]);
      const results = (await Promise.all(ids.map(ended))).map(({ returnvalue }) => returnvalue);
      expect(results).toContainEqual(expect.objectContaining({ fence: 1 }));
      expect(results).toContainEqual({ $skipped: 'duplicate' });
      expect(await starts(slot)).toBe(1);
      expect(await client.status(slotJobId(type, slot))).toMatchObject({
        id: slotJobId(type, slot),
        result: { fence: 1 },
      });
      expect(await record()).toMatchObject({ slot, open: [], last: { slot, outcome: 'done' } });
    });

    test('a tick that is claimed after a newer one runs all the same, once', async () => {
      await declare({}, slot - 1_000);
      await ended(await add(slot + 1_000));
      expect(await record()).toMatchObject({ slot: slot + 1_000, open: [] });
      expect((await ended(await add(slot))).returnvalue).toMatchObject({ fence: 1 });
      expect((await ended(await add(slot, {}, slotJobId(type, slot)))).returnvalue).toEqual({ $skipped: 'duplicate' });
      expect([await starts(slot), await starts(slot + 1_000)]).toEqual([1, 1]);
      expect(await record()).toMatchObject({ slot: slot + 1_000, last: { slot: slot + 1_000 } });
    });

    test('skip: a tick during the run before does not run; the next one does', async () => {
      await declare({});
      const first = await add(slot, { ms: 800 });
      await running(slot);
      const second = await ended(await add(slot + 1_000));
      expect(second.returnvalue).toEqual({ $skipped: 'overlap' });
      await ended(first);
      expect((await ended(await add(slot + 2_000))).returnvalue).toMatchObject({ fence: 1 });
      expect(await record()).toMatchObject({ open: [], skipped: { slot: slot + 1_000, reason: 'overlap' } });
    });

    test('queue: ticks wait their turn, without spending an attempt', async () => {
      await declare({ overlap: 'queue' });
      const ids = [await add(slot, { ms: 500 })];
      await running(slot);
      ids.push(await add(slot + 1_000, { ms: 20 }));
      // The next tick is made when this one is claimed: it stands in line before the next one comes.
      await until(async () => expect((await record()).open).toHaveLength(2));
      ids.push(await add(slot + 2_000, { ms: 20 }));
      const jobs = await Promise.all(ids.map(ended));
      expect(jobs.map(({ attemptsMade }) => attemptsMade)).toEqual([1, 1, 1]);
      const [first, second, third] = jobs.map(({ returnvalue }) =>
        z.object({ from: z.number(), to: z.number() }).parse(returnvalue),
      );
      expect(second?.from).toBeGreaterThanOrEqual(first?.to ?? Number.NaN);
      expect(third?.from).toBeGreaterThanOrEqual(second?.to ?? Number.NaN);
      for (const at of [slot, slot + 1_000, slot + 2_000]) expect(await starts(at)).toBe(1);
    });

    test('replace: the older run is cancelled, the newer one follows', async () => {
      await declare({ overlap: 'replace' });
      await add(slot, { ms: 60_000 });
      await running(slot);
      expect((await ended(await add(slot + 1_000, { ms: 20 }))).finishedOn).toBeDefined();
      expect(await marks('ended', slot)).toBe(0);
      expect(await client.status(slotJobId(type, slot))).toMatchObject({ status: 'cancelled' });
      expect(await marks('ended', slot + 1_000)).toBe(1);
    });

    test('all: a tick brings the missed ones along, each runs once and in order', async () => {
      await declare({ missed: 'all', overlap: 'queue' }, slot - 5_000);
      await add(slot, { ms: 10 });
      const missed = [4, 3, 2, 1].map((back) => slot - back * 1_000);
      await until(async () => expect((await record()).last).toMatchObject({ slot, outcome: 'done' }));
      for (const at of [...missed, slot]) expect(await marks('ended', at)).toBe(1);
      expect(await record()).toMatchObject({ slot, open: [] });
    });

    test('a paused schedule skips its ticks, and runs again when it is resumed', async () => {
      await declare({});
      const { records } = store();
      const pause = JSON.stringify({ by: 'ada', reason: 'the source is down', at: slot });
      const { version } = await records.putIfAbsent(pauseKey(type), pause, null);
      expect((await ended(await add(slot))).returnvalue).toEqual({ $skipped: 'paused' });
      expect(await records.compareAndSet(pauseKey(type), version, null, null)).toBe(true);
      expect((await ended(await add(slot + 1_000))).returnvalue).toMatchObject({ fence: 1 });
    });

    test('a dead run gives its place away, and runs again when it is redriven', async () => {
      await declare({});
      const id = await add(slot, { fail: true });
      expect((await ended(id)).failedReason).toContain('BAD_SOURCE');
      await until(async () => expect((await record()).last).toMatchObject({ slot, outcome: 'dead' }));
      expect((await ended(await add(slot + 1_000))).returnvalue).toMatchObject({ fence: 1 });
      const parts = { backend: store(), checkPayload: () => undefined, now: Date.now };
      expect(await redriveOne(parts, type, id, { patch: { fail: false } })).toMatchObject({ state: 'redriven' });
      await until(async () => expect(await marks('ended', slot)).toBe(1));
    });

    test('a run whose job is gone holds nobody up', async () => {
      await declare({});
      await changeRecord(store().records, type, (now) => ({
        write: { ...now, slot, open: [{ slot, id: tickJobId(type, slot), stored: true }] },
      }));
      expect((await ended(await add(slot + 1_000))).returnvalue).toMatchObject({ fence: 1 });
    });
  });
}
