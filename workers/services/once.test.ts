import { describe, expect, it, vi } from 'vitest';
import { repeating } from '../../tests/support/repeating-records.ts';
import { memoryRecords } from '../testing-records.ts';
import { createOnce } from './once.ts';
import { createShortLives } from './short-lives.ts';

const scope = (fence: number) => ({ queue: 'mail', id: 'mail_1', fence });

describe('a once-record', () => {
  it('lets a newer claim take over an open intent, and refuses the older one from then on', async () => {
    const records = memoryRecords();
    const older = createOnce(records, scope(1));
    const newer = createOnce(records, scope(2));
    expect(await older.begin('send', 'repeat')).toEqual({ state: 'run' });
    expect(await newer.begin('send', 'repeat')).toEqual({ state: 'run' });
    await expect(older.begin('send', 'repeat')).rejects.toMatchObject({ code: 'LOCKED' });
    await expect(older.end('send', 'old')).rejects.toMatchObject({ code: 'LOCKED' });
    await newer.end('send', 'new');
    expect(await createOnce(records, scope(3)).begin('send', 'repeat')).toEqual({ state: 'done', result: 'new' });
  });

  it('lets one of two claims begin that come at the same time', async () => {
    const records = memoryRecords();
    await createOnce(records, scope(1)).begin('send', 'repeat');
    const both = await Promise.allSettled(
      [2, 3].map((fence) => createOnce(records, scope(fence)).begin('send', 'repeat')),
    );
    expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('knows its own intent when a lost connection had it written twice: nothing was begun, nothing is skipped', async () => {
    const records = repeating(memoryRecords());
    const once = createOnce(records, scope(1));
    expect(await once.begin('send', 'skip')).toEqual({ state: 'run' });
    // Asked again by the same run, it is unknown whether the effect happened.
    expect(await once.begin('send', 'skip')).toEqual({ state: 'skip' });
    expect(await createOnce(records, scope(2)).begin('send', 'skip')).toEqual({ state: 'skip' });
    expect(await createOnce(records, scope(3)).begin('send', 'repeat')).toEqual({ state: 'run' });
  });

  it('lets one of two calls of the same run begin that come at the same time', async () => {
    const once = createOnce(repeating(memoryRecords()), scope(1));
    const both = await Promise.all([once.begin('send', 'skip'), once.begin('send', 'skip')]);
    expect(both.map(({ state }) => state).toSorted()).toEqual(['run', 'skip']);
  });

  it('gives up on a result that is too large to keep, and on a key that is none', async () => {
    const once = createOnce(memoryRecords(), scope(1));
    await once.begin('send', 'repeat');
    const refused = { code: 'RESULT_INVALID', verdict: { kind: 'dead' } };
    await expect(once.end('send', 'x'.repeat(16_000))).rejects.toMatchObject(refused);
    for (const key of ['', 'a b', 'x'.repeat(201), 'a\n'])
      await expect(once.begin(key, 'repeat')).rejects.toMatchObject(refused);
  });

  it('keeps jobs and keys apart, and lives on for a day when the job is done', async () => {
    const records = memoryRecords();
    const once = createOnce(records, scope(1));
    await once.begin('a', 'repeat');
    await once.end('a', 1);
    expect(await once.begin('b', 'repeat')).toEqual({ state: 'run' });
    expect(await createOnce(records, { ...scope(1), id: 'mail_2' }).begin('a', 'repeat')).toEqual({ state: 'run' });
    expect([...once.names()]).toHaveLength(2);
    const lives = createShortLives(records, () => undefined);
    lives.shorten(once.names());
    await lives.close();
    expect(await once.begin('a', 'repeat')).toEqual({ state: 'done', result: 1 });
    vi.useFakeTimers({ now: Date.now() + 86_400_000, toFake: ['Date'] });
    expect(await createOnce(records, scope(2)).begin('a', 'repeat')).toEqual({ state: 'run' });
    vi.useRealTimers();
  });
});
