/** Records, semaphores, control messages and the clock on every store. */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { ControlMessage } from './backend.ts';
import { type Register, type Stage, until } from './conformance-stage.ts';
import { startKeeper } from './keeper.ts';
import { openBackend } from './open.ts';

const day = 86_400_000;

export function recordTests(stage: Stage, register: Register): void {
  register('stores a record once and answers the others with it', async () => {
    const key = randomUUID();
    const puts = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        (n % 2 === 0 ? stage.first : stage.second).records.putIfAbsent(key, JSON.stringify({ n }), day),
      ),
    );
    const winners = puts.filter(({ stored }) => stored);
    expect(winners).toHaveLength(1);
    const [{ value, version } = { value: '', version: 0 }] = winners;
    expect(new Set(puts.map((put) => `${put.value} ${put.version}`))).toEqual(new Set([`${value} ${version}`]));
    expect(await stage.second.records.get([randomUUID(), key])).toEqual([undefined, { value, version }]);
  });

  register('stores one of several records of one key that leave together', async () => {
    const { records } = stage.first;
    const key = randomUUID();
    const [, ...puts] = await Promise.all(
      [randomUUID(), key, key, key].map((name, n) => records.putIfAbsent(name, `${n}`, day)),
    );
    expect(puts.filter(({ stored }) => stored)).toHaveLength(1);
    expect(new Set(puts.map(({ value, version }) => `${value} ${version}`)).size).toBe(1);
    const place = puts.findIndex(({ stored }) => stored);
    expect(puts[place]?.value).toBe(`${place + 1}`);
  });

  register('lets one of many change a record, and one delete it', async () => {
    const { records } = stage.first;
    const key = randomUUID();
    const { version } = await records.putIfAbsent(key, '"a"', null);
    const sets = await Promise.all(
      Array.from({ length: 20 }, (_, n) => stage.second.records.compareAndSet(key, version, `"b${n}"`, null)),
    );
    expect(sets.filter(Boolean)).toHaveLength(1);
    const [changed] = await records.get([key]);
    expect(changed?.value).toBe(`"b${sets.indexOf(true)}"`);
    expect(changed?.version).not.toBe(version);
    expect(await records.compareAndSet(key, version, null, null)).toBe(false);
    expect(await records.compareAndSet(key, changed?.version ?? 0, null, null)).toBe(true);
    expect(await records.get([key])).toEqual([undefined]);
  });

  register('forgets a record when its time is over, and never repeats a version', async () => {
    const { records } = stage.first;
    const key = randomUUID();
    const { version } = await records.putIfAbsent(key, '1', 50);
    await until(async () => expect(await records.get([key])).toEqual([undefined]));
    expect(await records.compareAndSet(key, version, '2', day)).toBe(false);
    const again = await records.putIfAbsent(key, '3', day);
    expect(again).toMatchObject({ stored: true, value: '3' });
    expect(again.version).not.toBe(version);
    expect(await records.compareAndSet(key, version, '4', day)).toBe(false);
  });

  register('cuts the life of records, whatever wrote them, and keeps their versions', async () => {
    const { records } = stage.first;
    const [kept = '', ...keys] = Array.from({ length: 31 }, () => randomUUID());
    const puts = await Promise.all(
      [kept, ...keys].map((key, n) => records.putIfAbsent(key, `${n}`, n === 0 ? null : day)),
    );
    expect(puts.map(({ stored, value }) => [stored, value])).toEqual(puts.map((_, n) => [true, `${n}`]));
    await records.expire([kept], day);
    expect(await records.compareAndSet(kept, puts[0]?.version ?? 0, '"changed"', null)).toBe(true);
    await Promise.all(keys.map((key) => records.expire([key, randomUUID()], 50)));
    await until(async () => expect(await records.get(keys)).toEqual(keys.map(() => undefined)));
    expect(await records.get([kept])).toMatchObject([{ value: '"changed"' }]);
    await records.expire([], 50);
  });

  register('makes a record last by a change without expiry', async () => {
    const { records } = stage.first;
    const key = randomUUID();
    const { version } = await records.putIfAbsent(key, '1', 200);
    expect(await records.compareAndSet(key, version, '2', null)).toBe(true);
    const clock = await stage.first.now();
    await until(async () => expect(await stage.first.now()).toBeGreaterThan(clock + 250));
    expect(await records.get([key])).toMatchObject([{ value: '2' }]);
  });

  register('refuses a record of more than 16 KiB, and keeps any text', async () => {
    const { records } = stage.first;
    await expect(records.putIfAbsent(randomUUID(), 'é'.repeat(8_193), day)).rejects.toThrow(RangeError);
    const value = JSON.stringify({ text: '\u{1f600}\ufffe\u0001"\\'.repeat(100) });
    const key = `${randomUUID()} ü:*?`;
    await records.putIfAbsent(key, value, day);
    expect(await records.get([key])).toMatchObject([{ value }]);
  });

  register('lends a semaphore to as many holders as it has, each once', async () => {
    const key = randomUUID();
    const holders = Array.from({ length: 10 }, (_, n) => `holder-${n}`);
    const got = await Promise.all(
      holders.map((holder, n) => (n % 2 === 0 ? stage.first : stage.second).records.acquire(key, holder, 3, day)),
    );
    expect(got.filter(Boolean)).toHaveLength(3);
    const holding = holders.filter((_, n) => got[n]);
    const [one = '', ...rest] = holding;
    expect(await stage.second.records.acquire(key, one, 3, day)).toBe(true);
    await stage.first.records.release(key, one);
    expect(await stage.first.records.acquire(key, 'new', 3, 50)).toBe(true);
    // Its time is over: the place is free again.
    await until(async () => expect(await stage.second.records.acquire(key, 'newer', 3, day)).toBe(true));
    expect(await stage.second.records.acquire(key, rest[0] ?? '', 3, day)).toBe(true);
    expect(await stage.second.records.acquire(key, 'too many', 3, day)).toBe(false);
  });

  register('carries control messages to every listener of every process, until it stops listening', async () => {
    const messages: ControlMessage[][] = [[], []];
    const stops = [stage.first, stage.second].map(({ control }, n) =>
      control.listen((message) => messages[n]?.push(message)),
    );
    const message = { kind: 'cancel', queue: 'q', id: randomUUID() } as const;
    await until(async () => {
      await stage.first.control.send(message);
      for (const got of messages) expect(got).toContainEqual(message);
    });
    stops[0]?.();
    const last = { ...message, id: randomUUID() };
    await until(async () => {
      await stage.second.control.send(last);
      expect(messages[1]).toContainEqual(last);
    });
    expect(messages[0]).not.toContainEqual(last);
    stops[1]?.();
  });

  register('lets a process hear what it sends as soon as it listens', async () => {
    for (let round = 0; round < 5; round += 1) {
      const third = await openBackend(stage.first.leaseConnection.url, {
        onError: (error) => stage.errors.push(error),
      });
      const message = { kind: 'cancel', queue: 'q', id: randomUUID() } as const;
      const heard = new Promise<void>((resolve) => {
        third.control.listen((got) => {
          if (got.kind === 'cancel' && got.id === message.id) resolve();
        });
      });
      await third.control.send(message);
      await heard;
      await third.close();
    }
  });

  register('tells its time and answers a ping', async () => {
    expect(Math.abs((await stage.first.now()) - Date.now())).toBeLessThan(2_000);
    await expect(stage.second.ping()).resolves.toBeUndefined();
  });

  register('has one keeper at a time, and another when that one leaves', async () => {
    const runs: string[] = [];
    const start = (instance: string, { records }: typeof stage.first) =>
      startKeeper({
        records,
        instance,
        chores: [{ name: 'count', everyMs: 10, run: () => Promise.resolve(void runs.push(instance)) }],
        onError: (error) => stage.errors.push(error),
        leaseMs: 600,
        renewMs: 100,
      });
    const a = start('a', stage.first);
    await until(() => expect(runs.length).toBeGreaterThan(3));
    const b = start('b', stage.second);
    await until(() => expect(runs.length).toBeGreaterThan(30));
    expect(new Set(runs)).toEqual(new Set(['a']));
    expect([a.isKeeping(), b.isKeeping()]).toEqual([true, false]);
    await a.close();
    const ranByA = runs.length;
    await until(() => expect(runs.at(-1)).toBe('b'));
    expect(runs.slice(ranByA)).not.toContain('a');
    await b.close();
    // The store's own chores run without complaint.
    for (const chore of stage.first.chores) await chore.run(new AbortController().signal);
  });
}
