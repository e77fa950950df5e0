/** Schedules on every store: made equal by any number of instances, never by an older release, and mended. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { expect } from 'vitest';
import type { Backend } from './backend.ts';
import { gate, type Register, type Stage, until } from './conformance-stage.ts';
import { changeRecord, changeTypes, readRecord, scheduleKey } from './schedule-record.ts';
import { createSchedules, type Declared, type SchedulesParts } from './schedules.ts';
import { slotJobId, slotOf, tickJobId } from './slot-id.ts';

const everySecond = '* * * * * *';

interface Instance {
  readonly boot: () => Promise<void>;
  readonly changes: string[];
  readonly alerts: number[];
}

function instance(backend: Backend, declared: readonly Declared[], options: Partial<SchedulesParts> = {}): Instance {
  const changes: string[] = [];
  const alerts: number[] = [];
  const schedules = createSchedules({
    backend,
    declared,
    release: '1.0.0',
    instance: randomUUID(),
    onLate: () => undefined,
    onAlert: (_type, slot) => void alerts.push(slot),
    onChange: (type, what) => void changes.push(`${type} ${what}`),
    ...options,
  });
  return { boot: () => schedules.makeEqual(), changes, alerts };
}

function daily(type: string, more: Partial<Declared> = {}): Declared {
  const rule = { cron: '30 2 * * *', timeZone: 'Europe/Berlin', missed: 'once', overlap: 'skip' } as const;
  return { type, ...rule, json: '{"kind":"nightly"}', attempts: 3, priority: 0, ...more };
}

async function nextOf(backend: Backend, type: string): Promise<number> {
  return (await backend.queue(type).getJobScheduler(type))?.next ?? Number.NaN;
}

/** As an accident of the store would: BullMQ itself refuses to remove the next job of a scheduler. */
async function loseJob(backend: Backend, name: string, id: string): Promise<void> {
  const { leaseConnection } = backend;
  if (leaseConnection.kind === 'postgres') {
    const client = new pg.Client({ connectionString: leaseConnection.url });
    await client.connect();
    await client.query(`DELETE FROM ${leaseConnection.schema}.job WHERE queue = $1 AND id = $2`, [name, id]);
    await client.end();
    return;
  }
  const store = backend.queue(name).getBackend();
  const client = await store.client;
  await client.del(store.toKey(id));
}

export function scheduleTests(stage: Stage, register: Register): void {
  const types = new Set<string>();
  const own: Stage = {
    errors: stage.errors,
    work: (...given) => stage.work(...given),
    get first() {
      return stage.first;
    },
    get second() {
      return stage.second;
    },
    queueName() {
      const name = stage.queueName();
      types.add(name);
      return name;
    },
  };
  const registerOwn: Register = (title, run, timeoutMs) =>
    register(
      title,
      async () => {
        try {
          await run();
        } finally {
          await forget(stage.first, types);
        }
      },
      timeoutMs,
    );
  equalTests(own, registerOwn);
  releaseTests(own, registerOwn);
  mendingTests(own, registerOwn);
}

/** Every process of a fleet looks after all schedules of its store: the next test must not find these. */
async function forget(backend: Backend, types: Set<string>): Promise<void> {
  const { records } = backend;
  await changeTypes(records, { add: [], drop: [...types] });
  for (const type of types) {
    await backend.queue(type).removeJobScheduler(type);
    const [stored] = await records.get([scheduleKey(type)]);
    if (stored !== undefined) await records.compareAndSet(scheduleKey(type), stored.version, null, null);
  }
  types.clear();
}

function equalTests(stage: Stage, register: Register): void {
  register('makes every schedule once, however many instances start at once, and leaves equal ones alone', async () => {
    const declared = Array.from({ length: 5 }, () => daily(stage.queueName()));
    const first = await Promise.all(declared.map(({ type }) => nextOf(stage.first, type)));
    expect(first).toEqual(declared.map(() => Number.NaN));
    const changes: string[] = [];
    let planned: number[] | undefined;
    for (let round = 0; round < 3; round += 1) {
      const instances = [stage.first, stage.second, stage.first, stage.second].map((backend) =>
        instance(backend, declared),
      );
      await Promise.all(instances.map(({ boot }) => boot()));
      changes.push(...instances.flatMap((one) => one.changes));
      const next = await Promise.all(declared.map(({ type }) => nextOf(stage.first, type)));
      planned ??= next;
      expect(next).toEqual(planned);
    }
    expect(changes.toSorted()).toEqual(declared.map(({ type }) => `${type} made`).toSorted());
    for (const { type } of declared) expect(await stage.first.queue(type).getDelayedCount()).toBe(1);
  });

  register('gives the job of a tick its payload and options, and plans the next tick when it is claimed', async () => {
    const type = stage.queueName();
    await instance(stage.first, [daily(type, { cron: everySecond })]).boot();
    const started = gate<unknown[]>();
    stage.work(stage.second, type, async (job) => {
      const slot = slotOf(type, job.id ?? '') ?? Number.NaN;
      started.open([job.name, job.data, job.opts.attempts, slot % 1_000, (await nextOf(stage.first, type)) > slot]);
    });
    expect(await started.opened).toEqual([type, { kind: 'nightly' }, 3, 0, true]);
  });

  register('plans nothing by a clock that is off', async () => {
    const type = stage.queueName();
    const clock = (): number => Date.now() + 65 * 60_000;
    await expect(instance(stage.first, [daily(type)], { clock }).boot()).rejects.toThrow(/clock of this process/);
    expect(await nextOf(stage.first, type)).toBeNaN();
  });
}

function releaseTests(stage: Stage, register: Register): void {
  register('lets a newer release change and remove a schedule, an older one nothing', async () => {
    const type = stage.queueName();
    await instance(stage.first, [daily(type)], { release: '1.9.0' }).boot();
    const before = await nextOf(stage.first, type);
    const older = instance(stage.second, [daily(type, { cron: '0 4 * * *' })], { release: '1.8.3' });
    await older.boot();
    expect(older.changes).toEqual([]);
    await instance(stage.second, [], { release: '1.8.3' }).boot();
    expect(await nextOf(stage.first, type)).toBe(before);
    const newer = instance(stage.second, [daily(type, { cron: '0 4 * * *', json: '{"kind":"early"}' })], {
      release: '1.10.0',
    });
    await newer.boot();
    expect(newer.changes).toEqual([`${type} changed`]);
    expect(await stage.first.queue(type).getJobScheduler(type)).toMatchObject({
      pattern: '0 4 * * *',
      template: { data: { kind: 'early' } },
    });
    expect(await stage.first.queue(type).getDelayedCount()).toBe(1);
    await instance(stage.first, [], { release: '1.11.0' }).boot();
    expect(await stage.first.queue(type).getJobScheduler(type)).toBeUndefined();
    expect(await stage.first.queue(type).getDelayedCount()).toBe(0);
    await instance(stage.second, [daily(type)], { release: '1.10.0' }).boot();
    expect(await stage.first.queue(type).getJobScheduler(type)).toBeUndefined();
  });
}

function mendingTests(stage: Stage, register: Register): void {
  register('keeps a tick that is due, and saves it when its schedule changes', async () => {
    const type = stage.queueName();
    const queue = stage.first.queue(type);
    await instance(stage.first, [daily(type, { cron: everySecond })]).boot();
    const due = await nextOf(stage.first, type);
    await until(async () => expect(await stage.first.now()).toBeGreaterThan(due));
    const equal = instance(stage.second, [daily(type, { cron: everySecond })]);
    await equal.boot();
    expect([await nextOf(stage.first, type), equal.changes]).toEqual([due, []]);
    expect(await queue.getJob(tickJobId(type, due))).toBeDefined();
    await instance(stage.second, [daily(type)], { release: '1.1.0' }).boot();
    expect(await queue.getJob(tickJobId(type, due))).toBeUndefined();
    expect(await queue.getJob(slotJobId(type, due))).toMatchObject({
      data: { kind: 'nightly' },
      opts: { attempts: 3 },
    });
  });

  register('arms a schedule again that lost its job or was removed behind our back', async () => {
    const type = stage.queueName();
    const mender = instance(stage.first, [daily(type)]);
    await mender.boot();
    const next = await nextOf(stage.first, type);
    await loseJob(stage.first, type, tickJobId(type, next));
    await mender.boot();
    expect(await stage.first.queue(type).getJob(tickJobId(type, next))).toBeDefined();
    await stage.first.queue(type).removeJobScheduler(type);
    await mender.boot();
    expect([await nextOf(stage.first, type), await stage.first.queue(type).getDelayedCount()]).toEqual([next, 1]);
    expect(mender.changes).toEqual(['made', 'armed again', 'made'].map((what) => `${type} ${what}`));
  });

  register('makes up for the tick that was lost together with its schedule', async () => {
    const type = stage.queueName();
    await instance(stage.first, [daily(type)]).boot();
    const now = await stage.first.now();
    await changeRecord(stage.first.records, type, (record) => ({
      write: record.declared ? { ...record, declared: { ...record.declared, since: now - 3 * 86_400_000 } } : undefined,
    }));
    await stage.first.queue(type).removeJobScheduler(type);
    await instance(stage.first, [daily(type)]).boot();
    const [job, ...others] = await stage.first.queue(type).getWaiting();
    expect(others).toEqual([]);
    const slot = slotOf(type, job?.id ?? '') ?? Number.NaN;
    expect(now - slot).toBeLessThanOrEqual(25 * 3_600_000);
    expect(slot).toBeLessThanOrEqual(now);
  });

  register('says once that a tick is late', async () => {
    const type = stage.queueName();
    await instance(stage.first, [daily(type, { cron: everySecond })]).boot();
    const due = await nextOf(stage.first, type);
    // Two minutes later, as the process and its store see it.
    const backend = { ...stage.first, now: async () => (await stage.first.now()) + 120_000 };
    const late: number[] = [];
    const watcher = instance(stage.first, [daily(type, { cron: everySecond })], {
      backend,
      clock: () => Date.now() + 120_000,
      onLate: (schedule, lateS) => void (schedule === type && late.push(lateS)),
    });
    await watcher.boot();
    await watcher.boot();
    expect(watcher.alerts.filter((slot) => slot === due)).toEqual([due]);
    expect(late.every((lateS) => lateS > 60)).toBe(true);
    const [stored] = await stage.first.records.get([scheduleKey(type)]);
    expect(readRecord(stored?.value)).toMatchObject({ declared: { cron: everySecond }, release: '1.0.0', open: [] });
  });
}
