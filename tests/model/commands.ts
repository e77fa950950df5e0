/** The calls of a store of jobs as commands: each runs on the real one, then on the model, and compares. */
import type { AsyncCommand } from 'fast-check';
import fc from 'fast-check';
import { expect } from 'vitest';
import { slotJobId } from '../../backends/slot-id.ts';
import { ProducerError } from '../../producers/client.ts';
import type { Model, State } from './model.ts';
import type { Held, Real, Side } from './real.ts';

type Command = AsyncCommand<Model, Real>;

/** `side`: which of the two processes makes the call; `pick`: which of the jobs that it could mean. */
interface Choice {
  readonly side: number;
  readonly pick: number;
}

const sideOf = ({ store }: Real, { side }: Choice): Side => (side === 0 ? store.sides[0] : store.sides[1]);

function picked<T>(from: readonly T[], { pick }: Choice): T {
  const one = from[pick % from.length];
  if (one === undefined) throw new Error('nothing to pick from');
  return one;
}

/** PostgreSQL keeps the place of a job that was handed back by a delay that is over: due, and not yet called waiting. */
const queuedAs = (state: string | undefined): string | undefined => (state === 'delayed' ? 'waiting' : state);

/** What anybody may ask of a job, on the process that did not make the last call. */
async function seen(real: Real, model: Model, id: string, choice: Choice): Promise<void> {
  const status = await sideOf(real, { ...choice, side: 1 - choice.side }).client.status(id);
  expect([id, queuedAs(status?.status)]).toEqual([id, queuedAs(model.shown(id))]);
  const { state, attempts, maxAttempts } = model.job(id);
  if (status === undefined || state === 'cancelled' || state === 'discarded') return;
  expect({ attempt: status.attempt, maxAttempts: status.maxAttempts }).toEqual({
    attempt: attempts + (state === 'active' || state === 'expired' ? 1 : 0),
    maxAttempts,
  });
}

/** A command on one job of certain states. */
function onJob(
  name: string,
  states: readonly State[],
  choice: Choice,
  run: (id: string, model: Model, real: Real) => Promise<unknown>,
): Command {
  return {
    check: (model) => model.idsIn(...states).length > 0,
    async run(model, real) {
      const id = picked(model.idsIn(...states), choice);
      await run(id, model, real);
      await seen(real, model, id, choice);
    },
    toString: () => `${name}(${choice.side}, ${choice.pick})`,
  };
}

const always = (): boolean => true;

function accept(choice: Choice, attempts: number, delayed: boolean): Command {
  return {
    check: always,
    async run(model, real) {
      const options = { attempts, ...(delayed ? { delayMs: 3_600_000 } : {}) };
      const answer = await sideOf(real, choice).client.enqueue(real.store.type, { n: choice.pick }, options);
      expect(answer).toMatchObject({ duplicate: false, status: delayed ? 'delayed' : 'waiting' });
      expect(model.jobs.has(answer.id)).toBe(false);
      model.add(answer.id, attempts, delayed);
      await seen(real, model, answer.id, choice);
    },
    toString: () => `accept(${choice.side}, attempts ${attempts}${delayed ? ', delayed' : ''})`,
  };
}

/** The same key again is the same job; with another payload it is refused. Nothing else can come of it. */
function acceptWithKey(choice: Choice, key: string, payload: number): Command {
  return {
    check: always,
    async run(model, real) {
      const known = model.keys.get(key);
      const call = sideOf(real, choice).client.enqueue(
        real.store.type,
        { n: payload },
        { idempotencyKey: real.keyPrefix + key },
      );
      if (known !== undefined && known.payload !== payload) {
        await expect(call).rejects.toBeInstanceOf(ProducerError);
        return;
      }
      const answer = await call;
      expect(answer.duplicate).toBe(known !== undefined);
      if (known !== undefined) expect(answer.id).toBe(known.id);
      else {
        model.keys.set(key, { id: answer.id, payload });
        model.add(answer.id, 4, false);
      }
      await seen(real, model, answer.id, choice);
    },
    toString: () => `acceptWithKey(${choice.side}, ${key}, ${payload})`,
  };
}

function acceptTogether(choice: Choice, count: number): Command {
  return {
    check: always,
    async run(model, real) {
      const { client } = sideOf(real, choice);
      const items = Array.from({ length: count }, (_, n) => ({ payload: { n } }));
      const calls = await Promise.all([
        client.enqueueMany(real.store.type, items),
        ...items.map(async ({ payload }) => [await client.enqueue(real.store.type, payload)]),
      ]);
      for (const { id } of calls.flat()) model.add(id, 4, false);
      expect(calls.flat()).toHaveLength(2 * count);
    },
    toString: () => `acceptTogether(${choice.side}, ${count})`,
  };
}

function claim(choice: Choice): Command {
  return {
    check: always,
    async run(model, real) {
      real.tokens += 1;
      const token = `claim-${real.tokens}`;
      const job = await sideOf(real, choice).worker.getNextJob(token, { block: false });
      const waiting = model.idsIn('waiting');
      if (job === undefined) return expect(waiting).toEqual([]);
      expect(waiting).toContain(job.id);
      const id = String(job.id);
      model.claim(id);
      real.held.set(id, { job, token });
      expect(job.attemptsStarted).toBe(model.job(id).claims);
      expect(job.attemptsMade).toBe(model.job(id).attempts);
      await seen(real, model, id, choice);
    },
    toString: () => `claim(${choice.side})`,
  };
}

function held(real: Real, id: string): Held {
  const found = real.held.get(id);
  if (found === undefined) throw new Error(`nobody holds ${id}`);
  real.held.delete(id);
  real.stale.push(found);
  return found;
}

const complete = (choice: Choice): Command =>
  onJob('complete', ['active'], choice, async (id, model, real) => {
    const { job, token } = held(real, id);
    await job.moveToCompleted({ ok: true }, token, false);
    model.complete(id);
  });

/** Everything that runs, at once: on Redis and PostgreSQL they share calls. */
function completeAll(choice: Choice): Command {
  return {
    check: (model) => model.idsIn('active').length > 1,
    async run(model, real) {
      const ids = model.idsIn('active');
      await Promise.all(
        ids.map(async (id) => {
          const { job, token } = held(real, id);
          await job.moveToCompleted({ ok: true }, token, false);
        }),
      );
      for (const id of ids) model.complete(id);
      for (const id of ids) await seen(real, model, id, choice);
    },
    toString: () => 'completeAll()',
  };
}

const fail = (choice: Choice, verdict: 'dead' | 'retry'): Command =>
  onJob(`fail ${verdict}`, ['active'], choice, async (id, model, real) => {
    const { job, token } = held(real, id);
    await job.moveToFailed(new Error(verdict), token, false);
    model.fail(id, verdict);
  });

const handBack = (choice: Choice): Command =>
  onJob('handBack', ['active'], choice, async (id, model, real) => {
    const { job, token } = held(real, id);
    await sideOf(real, choice).backend.handBack(job, token);
    model.interrupt(id);
  });

/** Also of those whose lease had ended before. */
async function sweepAll(model: Model, real: Real): Promise<void> {
  await real.store.sweep();
  for (const id of model.sweep()) held(real, id);
}

const crash = (choice: Choice): Command =>
  onJob('crash', ['active'], choice, async (id, model, real) => {
    await real.store.expire(id);
    model.job(id).state = 'expired';
    await sweepAll(model, real);
  });

const expire = (choice: Choice): Command =>
  onJob('expire', ['active'], choice, async (id, model, real) => {
    await real.store.expire(id);
    model.job(id).state = 'expired';
  });

/** Whose lease is over goes back, and nobody else. */
const sweep = (choice: Choice): Command => ({
  check: always,
  async run(model, real) {
    const swept = model.idsIn('expired');
    await sweepAll(model, real);
    for (const id of [...swept, ...model.idsIn('active')]) await seen(real, model, id, choice);
  },
  toString: () => 'sweep()',
});

/** Nobody has swept yet: PostgreSQL lets the holder go on, to Redis the claim is lost already. Never both. */
const completeExpired = (choice: Choice): Command =>
  onJob('completeExpired', ['expired'], choice, async (id, model, real) => {
    const mine = real.held.get(id);
    try {
      await mine?.job.moveToCompleted({ ok: true }, mine.token, false);
    } catch (error) {
      expect(error).toMatchObject({ message: expect.stringMatching(/lock/i) });
      return;
    }
    held(real, id);
    model.complete(id);
  });

const renewExpired = (choice: Choice): Command =>
  onJob('renewExpired', ['expired'], choice, async (id, model, real) => {
    const backend = sideOf(real, choice).worker.getBackend();
    const lost = await backend.extendLocks([id], [real.held.get(id)?.token ?? ''], 60_000);
    if (lost.length === 0) model.job(id).state = 'active';
    else expect(lost).toEqual([id]);
  });

/** What was accepted, claimed or ended before is there afterwards. Claims go on: the lease is the store's. */
const restart = (choice: Choice): Command => ({
  check: ({ canRestart }) => canRestart,
  async run(model, real) {
    await real.store.restart?.();
    await Promise.all(real.store.sides.map(({ backend }) => backend.ping()));
    for (const id of model.jobs.keys()) await seen(real, model, id, choice);
  },
  toString: () => 'restart()',
});

const heartbeat = (choice: Choice): Command =>
  onJob('heartbeat', ['active'], choice, async (id, _model, real) => {
    const mine = real.held.get(id);
    const backend = sideOf(real, choice).worker.getBackend();
    expect(await backend.extendLocks([id], [mine?.token ?? ''], 60_000)).toEqual([]);
    expect(await backend.extendLocks([id], ['nobody'], 60_000)).toEqual([id]);
  });

/** A worker that comes back from the dead with the end of a job it no longer holds. */
function lateEnd(choice: Choice, how: 'complete' | 'fail' | 'handBack'): Command {
  return {
    check: always,
    async run(model, real) {
      if (real.stale.length === 0) return;
      const { job, token } = picked(real.stale, choice);
      const id = String(job.id);
      const call = {
        complete: () => job.moveToCompleted({ late: true }, token, false),
        fail: () => job.moveToFailed(new Error('dead'), token, false),
        handBack: () => sideOf(real, choice).backend.handBack(job, token),
      };
      await expect(call[how]()).rejects.toThrow(/lock|active|missing/i);
      await seen(real, model, id, choice);
    },
    toString: () => `late ${how}(${choice.pick})`,
  };
}

const cancel = (choice: Choice): Command =>
  onJob(
    'cancel',
    ['waiting', 'delayed', 'active', 'expired', 'completed', 'failed', 'cancelled'],
    choice,
    async (id, model, real) => {
      expect(await sideOf(real, choice).client.cancel(id)).toBe(model.cancel(id));
    },
  );

const redrive = (choice: Choice): Command =>
  onJob('redrive', ['waiting', 'completed', 'failed', 'discarded'], choice, async (id, model, real) => {
    const isDead = model.job(id).state === 'failed';
    const answer = await sideOf(real, choice).deadLetters.redrive(real.store.type.name, id);
    expect(answer).toMatchObject(
      isDead ? { state: 'redriven', run: model.job(id).run + 1 } : { state: 'refused', reason: 'GONE' },
    );
    if (isDead) model.redrive(id);
  });

const discard = (choice: Choice): Command =>
  onJob('discard', ['waiting', 'failed', 'discarded'], choice, async (id, model, real) => {
    const isDead = model.job(id).state === 'failed';
    expect(await sideOf(real, choice).deadLetters.discard(real.store.type.name, id)).toBe(isDead);
    if (isDead) model.job(id).state = 'discarded';
  });

/** Several instances make the jobs of a schedule: one for each slot, whoever comes first. */
function tick(choice: Choice, at: number): Command {
  return {
    check: always,
    async run(model, real) {
      const { name } = real.store.type;
      const id = slotJobId(name, real.firstSlot + at);
      // One that was taken away is not made again: its slot was decided.
      if (model.jobs.has(id) && ['cancelled', 'discarded'].includes(model.job(id).state)) return;
      const options = { attempts: 2, backoff: { type: 'policy' } };
      const { backend } = sideOf(real, choice);
      expect(await backend.add(name, { id, name, json: '{"n":0}', timestamp: Date.now(), options })).toBe(id);
      if (!model.jobs.has(id)) model.add(id, 2, false);
      await seen(real, model, id, choice);
    },
    toString: () => `tick(${choice.side}, ${at})`,
  };
}

const promote = (choice: Choice): Command =>
  onJob('promote', ['delayed'], choice, async (id, model, real) => {
    const job = await sideOf(real, choice).backend.queue(real.store.type.name).getJob(id);
    await job?.promote();
    model.interrupt(id);
  });

const side = fc.nat(1);
const choices = fc.record({ side, pick: fc.nat(9) });

/** Claims and ends come up more often than the rest, or nothing would ever get far. */
export const commands = fc.commands(
  [
    fc.tuple(choices, fc.integer({ min: 1, max: 4 }), fc.boolean()).map((args) => accept(...args)),
    fc.tuple(choices, fc.constantFrom('a', 'b'), fc.nat(1)).map((args) => acceptWithKey(...args)),
    fc.tuple(choices, fc.integer({ min: 1, max: 5 })).map((args) => acceptTogether(...args)),
    choices.map(claim),
    choices.map(claim),
    choices.map(claim),
    choices.map(complete),
    choices.map(completeAll),
    fc.tuple(choices, fc.constantFrom('dead' as const, 'retry' as const)).map((args) => fail(...args)),
    fc.tuple(choices, fc.constantFrom('dead' as const, 'retry' as const)).map((args) => fail(...args)),
    choices.map(handBack),
    choices.map(crash),
    choices.map(heartbeat),
    fc
      .tuple(choices, fc.constantFrom('complete' as const, 'fail' as const, 'handBack' as const))
      .map((args) => lateEnd(...args)),
    choices.map(cancel),
    choices.map(redrive),
    choices.map(discard),
    choices.map(promote),
    fc.tuple(choices, fc.constantFrom(1_000, 2_000)).map((args) => tick(...args)),
    choices.map(expire),
    choices.map(expire),
    choices.map(sweep),
    choices.map(completeExpired),
    choices.map(renewExpired),
    choices.map(restart),
  ],
  { maxCommands: 25, size: 'max' },
);

/** After all of it: every accepted job in one state, and the store's counts say the same. */
export async function conserved(model: Model, real: Real): Promise<void> {
  const counts = await real.store.sides[0].backend
    .queue(real.store.type.name)
    .getJobCounts('waiting', 'prioritized', 'delayed', 'active', 'completed', 'failed');
  const { waiting = 0, prioritized = 0, delayed = 0, ...others } = counts;
  const count = (...states: State[]) => model.idsIn(...states).length;
  expect({ queued: waiting + prioritized + delayed, ...others }).toEqual({
    queued: count('waiting', 'delayed'),
    active: count('active', 'expired'),
    completed: count('completed'),
    failed: count('failed'),
  });
}
