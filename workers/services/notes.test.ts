import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createNotes, type ProgressNote } from './notes.ts';

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => vi.useRealTimers());

function noting() {
  const seen = { progress: [] as ProgressNote[], lines: [] as string[], errors: [] as unknown[] };
  const notes = createNotes(
    { progress: async (value) => seen.progress.push(value), log: async (line) => seen.lines.push(line) },
    (error) => seen.errors.push(error),
  );
  return { ...seen, notes };
}

describe('progress', () => {
  it('is sent at once, then at most once a second, and never falls', async () => {
    const { notes, progress } = noting();
    for (const percent of [10, 20, 15, 30]) notes.progress(percent, undefined);
    expect(progress).toEqual([10]);
    vi.advanceTimersByTime(1_000);
    expect(progress).toEqual([10, 30]);
    notes.progress(5, undefined);
    notes.progress(400, 'mail to ada@example.com');
    await notes.flush();
    expect(progress[2]).toMatchObject({ percent: 100 });
    expect(JSON.stringify(progress)).not.toContain('ada@example.com');
  });

  it('ignores what is no number', async () => {
    const { notes, progress } = noting();
    notes.progress(Number.NaN, undefined);
    await notes.flush();
    expect(progress).toEqual([]);
  });
});

describe('log lines', () => {
  it('are one line each, masked, at most 2,000 characters and 200 of them', async () => {
    const { notes, lines } = noting();
    notes.log('info', 'two\nlines for ada@example.com', { password: 'hunter22', page: 3 });
    notes.log('warn', 'x '.repeat(5_000), undefined);
    for (let line = 0; line < 500; line += 1) notes.log('debug', 'more', undefined);
    await notes.flush();
    expect(lines[0]).toMatch(/^info two lines for .*"page":3/);
    expect(lines[0]).not.toMatch(/ada@example|hunter22|\n/);
    expect(lines[1]).toHaveLength(2_000);
    expect(lines).toHaveLength(200);
    expect(lines[199]).toBe('warn no more lines are kept for this attempt');
  });

  it('go to the store in order and at once: lines that are under way together share its round trips', async () => {
    const given: string[] = [];
    let answer = (): void => undefined;
    const stored = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const log = (line: string) => {
      given.push(line);
      return stored;
    };
    const notes = createNotes({ log, progress: () => Promise.resolve() }, () => undefined);
    for (const line of ['one', 'two', 'three']) notes.log('info', line, undefined);
    expect(given).toEqual(['info one', 'info two', 'info three']);
    answer();
    await notes.flush();
  });

  it('that cannot be stored are reported once and do not stop the work', async () => {
    const errors: unknown[] = [];
    const fail = () => Promise.reject(new Error('store down'));
    const notes = createNotes({ progress: fail, log: fail }, (error) => errors.push(error));
    notes.log('info', 'a', undefined);
    notes.log('info', 'b', undefined);
    await notes.flush();
    expect(errors).toHaveLength(1);
  });
});
