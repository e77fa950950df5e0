/** Turns on every store: tags share a queue between flows, urgent before patient, and nothing waits for ever. */
import { array, assert, asyncProperty, constantFrom, oneof, record } from 'fast-check';
import { expect } from 'vitest';
import type { NewJob } from './backend.ts';
import { gate, type Register, type Stage, until } from './conformance-stage.ts';
import { highestTag, type Turn, turnOf } from './fairness.ts';

export function fairnessTests(stage: Stage, register: Register): void {
  tagTests(stage, register);
  orderTests(stage, register);
}

const turns = (count: number, turn: Turn): Turn[] => Array.from({ length: count }, () => turn);

function tagTests(stage: Stage, register: Register): void {
  register('gives each flow tags of its own from the highest one passed, in steps of the cost', async () => {
    const name = stage.queueName();
    const { tags } = stage.first;
    await hold(stage, name);
    expect(await tags.nextTags(name, turns(3, turnOf('flood')))).toEqual([2, 4, 6]);
    expect(await stage.second.tags.nextTags(name, [turnOf('flood'), turnOf('acme', 'high'), turnOf('flood')])).toEqual([
      8, 1, 10,
    ]);
    expect(await tags.nextTags(name, [turnOf('acme', 'low'), turnOf('acme')])).toEqual([8, 2]);
    await tags.passTag(name, 6);
    // Those at or below the tag that was passed begin where it stands; the flood goes on behind its own.
    expect(await tags.nextTags(name, [turnOf('acme'), turnOf('new'), turnOf('flood')])).toEqual([8, 8, 12]);
    await tags.passTag(name, 3);
    expect(await tags.nextTags(name, [turnOf('other')])).toEqual([8]);
    expect(await tags.lastTag(name)).toBe(12);
  });

  register('gives a tenant of weight 4 four jobs for one of the others', async () => {
    const name = stage.queueName();
    await hold(stage, name);
    const heavy = await stage.first.tags.nextTags(name, turns(8, turnOf('big', 'normal', 4)));
    const light = await stage.first.tags.nextTags(name, turns(2, turnOf('small')));
    expect(heavy).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
    expect(light).toEqual([2, 4]);
  });

  register('begins at 1 again when nothing waits, and does not believe a tag of the time before', async () => {
    const name = stage.queueName();
    const { tags } = stage.first;
    const ended = await hold(stage, name);
    expect((await tags.nextTags(name, turns(50, turnOf('flood')))).at(-1)).toBe(100);
    await tags.passTag(name, 100);
    await ended();
    expect(await tags.nextTags(name, [turnOf('acme')])).toEqual([2]);
    await hold(stage, name);
    await tags.passTag(name, 100);
    expect(await tags.nextTags(name, [turnOf('new')])).toEqual([2]);
  });

  register('stops at the highest tag: from there on it is first come, first served', async () => {
    const name = stage.queueName();
    await hold(stage, name);
    const { tags } = stage.first;
    const huge = { flow: 'flood', cost: highestTag - 3 };
    expect(await tags.nextTags(name, [huge, turnOf('flood'), turnOf('flood')])).toEqual([
      highestTag - 3,
      highestTag - 1,
      highestTag,
    ]);
    await tags.passTag(name, highestTag);
    expect(await tags.nextTags(name, [turnOf('acme'), turnOf('flood')])).toEqual([highestTag, highestTag]);
    expect(await tags.lastTag(name)).toBe(highestTag);
  });

  register('answers adds of many processes at once with rising tags for each flow', async () => {
    const name = stage.queueName();
    await hold(stage, name);
    const asked = Array.from({ length: 60 }, (_, index) =>
      (index % 2 === 0 ? stage.first : stage.second).tags.nextTags(name, [turnOf(index % 3 === 0 ? 'a' : 'b')]),
    );
    const given = (await Promise.all(asked)).map(([tag]) => tag ?? 0);
    const ofA = given.filter((_, index) => index % 3 === 0).toSorted((a, b) => a - b);
    const ofB = given.filter((_, index) => index % 3 !== 0).toSorted((a, b) => a - b);
    expect(ofA).toEqual(Array.from({ length: 20 }, (_, index) => 2 * (index + 1)));
    expect(ofB).toEqual(Array.from({ length: 40 }, (_, index) => 2 * (index + 1)));
  });

  register(
    'keeps to the rule whatever comes: a tag is max(passed, last of the flow) + cost',
    async () => {
      const step = oneof(
        record({
          flow: constantFrom('a', 'b', 'c'),
          level: constantFrom('high' as const, 'normal' as const, 'low' as const),
        }),
        record({ pass: constantFrom(0.2, 0.5, 0.9, 1) }),
      );
      await assert(
        asyncProperty(array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
          const name = stage.queueName();
          const ended = await hold(stage, name);
          const last = new Map<string, number>();
          let passed = 0;
          let top = 0;
          for (const one of steps) {
            if ('pass' in one) {
              const tag = Math.ceil(top * one.pass);
              if (tag > 0) await stage.first.tags.passTag(name, tag);
              passed = Math.max(passed, tag);
              continue;
            }
            const turn = turnOf(one.flow, one.level);
            const expected = Math.max(passed, last.get(turn.flow) ?? 0) + turn.cost;
            expect(await stage.second.tags.nextTags(name, [turn])).toEqual([expected]);
            last.set(turn.flow, expected);
            top = Math.max(top, expected);
          }
          await ended();
        }),
        { numRuns: 30 },
      );
    },
    60_000,
  );
}

/** Keeps the queue from being empty, so that its tags go on. */
async function hold(stage: Stage, name: string): Promise<() => Promise<void>> {
  const job = await stage.first.queue(name).add('x', {}, { delay: 3_600_000, priority: 1 });
  return () => job.remove();
}

function orderTests(stage: Stage, register: Register): void {
  register('runs high before normal before low, and a low one in spite of newer high ones', async () => {
    const name = stage.queueName();
    const add = (ids: readonly string[], level: 'high' | 'low' | 'normal') =>
      stage.first.addMany([{ queue: name, jobs: ids.map((id) => fair(id, turnOf('acme', level))) }]);
    await add(['low_1', 'low_2'], 'low');
    await add(
      Array.from({ length: 6 }, (_, index) => `normal_${index}`),
      'normal',
    );
    await add(
      Array.from({ length: 12 }, (_, index) => `high_${index}`),
      'high',
    );
    const ran: string[] = [];
    stage.work(stage.second, name, (job) => Promise.resolve(ran.push(job.id ?? '')));
    await until(() => expect(ran).toHaveLength(20));
    expect(ran[0]).toBe('high_0');
    expect(ran.indexOf('normal_0')).toBeLessThan(4);
    // Tag 8: behind eight high ones and three or four normal ones, before the rest.
    expect(ran.indexOf('low_1')).toBeGreaterThan(7);
    expect(ran.indexOf('low_1')).toBeLessThan(14);
    expect(ran.at(-1)).toBe('low_2');
    for (const level of ['high', 'normal', 'low'])
      expect(ran.filter((id) => id.startsWith(level))).toEqual(
        ran.filter((id) => id.startsWith(level)).toSorted((a, b) => Number(a.split('_')[1]) - Number(b.split('_')[1])),
      );
  });

  register('lets a newcomer pass a flood, one by one as well as in bulk', async () => {
    const name = stage.queueName();
    const started = gate();
    const going = gate();
    const ran: string[] = [];
    await stage.first.addMany([
      { queue: name, jobs: Array.from({ length: 200 }, (_, index) => fair(`flood_${index}`, turnOf('flood'))) },
    ]);
    stage.work(stage.second, name, async (job) => {
      ran.push(job.id ?? '');
      await stage.second.tags.passTag(name, job.priority);
      if (ran.length === 20) {
        started.open();
        await going.opened;
      }
    });
    await started.opened;
    expect(await stage.first.add(name, fair('acme_1', turnOf('acme')))).toBe('acme_1');
    await stage.first.addMany([
      { queue: name, jobs: [fair('acme_2', turnOf('acme')), fair('flood_200', turnOf('flood'))] },
    ]);
    going.open();
    await until(() => expect(ran).toHaveLength(203));
    expect(ran.indexOf('acme_1')).toBeLessThan(23);
    expect(ran.indexOf('acme_2')).toBeLessThan(25);
    expect(ran.at(-1)).toBe('flood_200');
  });

  register('asks for no turn of a job that takes none', async () => {
    const name = stage.queueName();
    const { turn: _turn, ...plain } = fair('plain_1', turnOf('acme'));
    await stage.first.add(name, plain);
    await stage.first.addMany([{ queue: name, jobs: [{ ...plain, id: 'plain_2' }] }]);
    const stored = await stage.first.queue(name).getJob('plain_1');
    expect(stored?.priority).toBe(0);
    expect(await stage.first.queue(name).getWaitingCount()).toBe(2);
    expect(await stage.first.tags.lastTag(name)).toBe(0);
  });
}

function fair(id: string, turn: Turn): NewJob {
  return { id, name: 'x', json: '{}', timestamp: Date.now(), options: { attempts: 1 }, turn };
}
