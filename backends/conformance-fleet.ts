/** What operators do to a fleet, on every store: pauses with an owner and an end, concurrency, the list of workers. */
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { ControlMessage } from './backend.ts';
import { gate, type Register, type Stage, until } from './conformance-stage.ts';
import { nameSet } from './name-set.ts';
import { createPauses, type Pause, pauseChore } from './pauses.ts';
import { readTunings, tune } from './tunings.ts';
import { listWorkers, putWorker, removeWorker, type WorkerFacts } from './worker-list.ts';

const unique = (what: string): string => `${what}-${randomBytes(6).toString('hex')}`;
const ada = { by: 'ada', reason: 'the mail provider is down' };

export function fleetTests(stage: Stage, register: Register): void {
  queueTests(stage, register);
  endTests(stage, register);
  tenantTests(stage, register);
  workerTests(stage, register);
}

function queueTests(stage: Stage, register: Register): void {
  register(
    'runs nothing of a paused queue, says who wants it, lets running jobs end, and goes on when resumed',
    async () => {
      const name = stage.queueName();
      const pauses = createPauses(stage.first);
      const started: unknown[] = [];
      const running = gate();
      const end = gate();
      stage.work(stage.second, name, async (job) => {
        started.push(job.id);
        running.open();
        await end.opened;
      });
      const queue = stage.first.queue(name);
      await queue.add('x', {}, { jobId: 'x_1' });
      await running.opened;
      const before = await stage.first.now();
      const { at } = await pauses.pauseQueue(name, ada);
      expect(at).toBeGreaterThanOrEqual(before - 1);
      await queue.add('x', {}, { jobId: 'x_2' });
      await queue.add('x', {}, { jobId: 'x_3', delay: 1 });
      end.open();
      await until(async () => expect(await queue.getCompletedCount()).toBe(1));
      // In the step that ended the first job the worker asked for the next one.
      expect(started).toEqual(['x_1']);
      expect(await createPauses(stage.second).queues([name, stage.queueName()])).toEqual(
        new Map([[name, { ...ada, at }]]),
      );
      await createPauses(stage.second).resumeQueue(name);
      await until(() => expect(new Set(started)).toEqual(new Set(['x_1', 'x_2', 'x_3'])), 25_000);
      expect(await pauses.queues([name])).toEqual(new Map());
    },
    60_000,
  );

  register('keeps the latest of several pauses of a queue; a resume ends them all', async () => {
    const name = stage.queueName();
    const pauses = createPauses(stage.first);
    await pauses.pauseQueue(name, { ...ada, forMs: 3_600_000 });
    await createPauses(stage.second).pauseQueue(name, { by: 'grace', reason: 'longer' });
    expect((await pauses.queues([name])).get(name)).toMatchObject({ by: 'grace', reason: 'longer' });
    await pauses.resumeQueue(name);
    await pauses.resumeQueue(name);
    expect(await stage.second.queue(name).isPaused()).toBe(false);
  });

  register('leaves no pause without an owner, however pauses and resumes meet', async () => {
    const name = stage.queueName();
    const [one, two] = [createPauses(stage.first), createPauses(stage.second)];
    for (let round = 0; round < 10; round += 1) {
      await Promise.all([
        one.pauseQueue(name, ada),
        two.resumeQueue(name),
        two.pauseQueue(name, ada),
        one.resumeQueue(name),
      ]);
      const pause = (await one.queues([name])).get(name);
      expect(pause?.by ?? 'ada').toBe('ada');
      expect(await stage.first.queue(name).isPaused()).toBe(pause !== undefined);
    }
  });

  register('names a queue that was paused by something else, and resumes it', async () => {
    const name = stage.queueName();
    const pauses = createPauses(stage.first);
    await stage.second.queue(name).pause();
    expect((await pauses.queues([name])).get(name)).toMatchObject({ by: 'unknown' });
    await pauses.resumeQueue(name);
    expect(await stage.second.queue(name).isPaused()).toBe(false);
  });
}

function endTests(stage: Stage, register: Register): void {
  const chore = (queues: readonly string[], ended: { queue: string; pause: Pause }[] = []) =>
    pauseChore({ backend: stage.second, queues, onEnded: (one) => ended.push(one) });
  const signal = new AbortController().signal;

  register('ends a pause of a queue at its time, by the keeper, and tells whose it was', async () => {
    const [name, other] = [stage.queueName(), stage.queueName()];
    const pauses = createPauses(stage.first);
    const ended: { queue: string; pause: Pause }[] = [];
    await pauses.pauseQueue(name, { ...ada, forMs: 200 });
    await pauses.pauseQueue(other, ada);
    const keeper = chore([name, other], ended);
    await until(async () => {
      await keeper.run(signal);
      expect(ended).toMatchObject([{ queue: name, pause: ada }]);
    });
    expect(await stage.first.queue(name).isPaused()).toBe(false);
    expect(await stage.first.queue(other).isPaused()).toBe(true);
    await keeper.run(signal);
    expect(ended).toHaveLength(1);
    await pauses.resumeQueue(other);
  });

  register(
    'completes what a crash left half done: a record without its pause, a pause whose record has ended',
    async () => {
      const [wanted, over] = [stage.queueName(), stage.queueName()];
      const { records } = stage.first;
      await records.putIfAbsent(`pause:${wanted}`, JSON.stringify({ ...ada, at: 1 }), null);
      await stage.first.queue(over).pause();
      await records.putIfAbsent(`pause:${over}`, JSON.stringify({ ...ada, at: 1, until: 0 }), null);
      await chore([wanted, over]).run(signal);
      expect(await stage.second.queue(wanted).isPaused()).toBe(true);
      expect(await stage.second.queue(over).isPaused()).toBe(false);
      expect(await records.get([`pause:${over}`])).toEqual([undefined]);
      await createPauses(stage.first).resumeQueue(wanted);
    },
  );
}

function tenantTests(stage: Stage, register: Register): void {
  register('pauses a tenant by a record that every process reads, tells them, and forgets it at its end', async () => {
    const [tenant, short] = [unique('tenant'), unique('tenant')];
    const pauses = createPauses(stage.first);
    const others = createPauses(stage.second);
    const heard: ControlMessage[] = [];
    const stop = stage.second.control.listen((message) => heard.push(message));
    await until(async () => {
      await pauses.pauseTenant(tenant, ada);
      expect(heard).toContainEqual({ kind: 'pause', tenant });
    });
    const { at } = await pauses.pauseTenant(short, { ...ada, forMs: 100 });
    expect((await others.tenants()).get(tenant)).toMatchObject(ada);
    await until(async () => expect((await others.tenants()).has(short)).toBe(false));
    expect((await stage.first.now()) - at).toBeGreaterThanOrEqual(100);
    const names = nameSet(stage.first.records, 'paused-tenants');
    await pauseChore({ backend: stage.first, queues: [], onEnded: () => undefined }).run(new AbortController().signal);
    expect(await names.list()).not.toContain(short);
    await others.resumeTenant(tenant);
    expect((await pauses.tenants()).has(tenant)).toBe(false);
    expect(await names.list()).not.toContain(tenant);
    stop();
  });

  register('drops control messages that are none of ours', async () => {
    const queue = stage.queueName();
    const heard: ControlMessage[] = [];
    const stop = stage.second.control.listen((message) => heard.push(message));
    const odd: object[] = [{ kind: 'reboot', queue }, { kind: 'tune' }, { kind: 'cancel', queue, id: 7 }, [queue]];
    // What another release, or another program on the same channel, might say.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    for (const message of odd) await stage.first.control.send(message as ControlMessage);
    await until(async () => {
      await stage.first.control.send({ kind: 'tune', queue });
      expect(heard).toContainEqual({ kind: 'tune', queue });
    });
    expect(
      heard.filter((message) => message.kind !== 'pause' && message.queue === queue && message.kind !== 'tune'),
    ).toEqual([]);
    stop();
  });
}

function workerTests(stage: Stage, register: Register): void {
  const facts: WorkerFacts = {
    host: 'here',
    pid: 7,
    version: '1.2.3',
    startedAt: 1,
    beatAt: 2,
    clockOffMs: -3,
    memoryMb: 4,
    active: 1,
    p50Ms: 10,
    p95Ms: 20,
    notClaiming: null,
    circuits: [{ name: 'smtp', state: 2 }],
    queues: [{ queue: 'q', concurrency: 2, active: 1, ended: 5, p50Ms: 10, p95Ms: 20, ended5m: 9, meanMs5m: 11 }],
  };

  register('lists the workers that were heard of, from many at once, until they say goodbye', async () => {
    const instances = Array.from({ length: 40 }, () => unique('worker')).toSorted();
    const ours = async () => {
      const listed = await listWorkers(stage.second.records);
      return listed.filter(({ instance }) => instances.includes(instance));
    };
    await Promise.all(instances.map((instance) => putWorker(stage.first.records, instance, facts)));
    expect(await ours()).toEqual(instances.map((instance) => ({ instance, ...facts })));
    await putWorker(stage.second.records, instances[0] ?? '', { ...facts, active: 0 });
    expect((await ours())[0]).toMatchObject({ active: 0 });
    await Promise.all(instances.map((instance) => removeWorker(stage.first.records, instance)));
    expect(await ours()).toEqual([]);
  });

  register('lists a worker again that was silent for too long, and drops the names of the dead', async () => {
    const [alive, dead] = [unique('worker'), unique('worker')];
    const { records } = stage.first;
    await putWorker(records, alive, facts);
    await nameSet(records, 'workers').add(dead);
    const [entry] = await records.get([`worker:${alive}`]);
    await records.compareAndSet(`worker:${alive}`, entry?.version ?? 0, null, null);
    const found = async () => (await listWorkers(stage.second.records)).map(({ instance }) => instance);
    expect(await found()).not.toContain(alive);
    expect(await nameSet(records, 'workers').list()).not.toContain(dead);
    await putWorker(records, alive, facts);
    expect(await found()).toContain(alive);
    await removeWorker(records, alive);
  });

  register('keeps the concurrency that an operator set, until it is taken back', async () => {
    const [one, two] = [stage.queueName(), stage.queueName()];
    await tune(stage.first, one, { concurrency: 3, by: 'ada' });
    await tune(stage.second, one, { concurrency: 5, by: 'grace' });
    const found = await readTunings(stage.first.records, [one, two]);
    expect(found.get(one)).toMatchObject({ concurrency: 5, by: 'grace' });
    expect(found.has(two)).toBe(false);
    await tune(stage.first, one, { concurrency: null, by: 'ada' });
    expect(await readTunings(stage.second.records, [one])).toEqual(new Map());
  });
}
