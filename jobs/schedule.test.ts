import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineJob } from './define.ts';
import { declaredSchedules, type Schedule, scheduleProblems } from './schedule.ts';

const job = (schedule: Partial<Schedule<{ day?: string }>>, more = {}) =>
  defineJob({
    name: 'report',
    summary: 'Writes the report of a day.',
    payload: z.strictObject({ day: z.string().default('yesterday') }),
    result: z.object({}),
    schedule: { cron: '0 3 * * 1-5', timeZone: 'Europe/Berlin', payload: {}, ...schedule },
    ...more,
  });

describe('a schedule at boot', () => {
  it.each(['0 3 * * 1-5', '*/10 * * * * *', '@daily', '0 0 L * *', '0 0 29 2 *', '0 9 * * 1#1'])('reads %s', (cron) => {
    expect(scheduleProblems(job({ cron }))).toEqual([]);
  });

  it.each([
    ['', 'has 0 fields, expected five'],
    ['* * *', 'has 3 fields, expected five'],
    ['61 * * * *', 'cannot be read'],
    ['0 0 30 2 *', 'cannot be read'],
    ['0 0 31 4,6 *', 'never ticks'],
    ['H 3 * * *', 'says H'],
    ['0 0 15W * *', 'cannot be read'],
    ['@nonsense', 'cannot be read'],
    ['1 2 3 4 5 6 7', 'has 7 fields'],
    ['* * * * * *', 'ticks after 1 s; the least is 10 s'],
    ['*/5 * * * * *', 'ticks after 5 s; the least is 10 s'],
    ['0,55 0,30,31 * * * *', 'ticks after 5 s; the least is 10 s'],
  ])('refuses "%s": it %s', (cron, reason) => {
    expect(scheduleProblems(job({ cron }))).toEqual([expect.stringContaining(reason)]);
  });

  it.each(['Mars/Base', '+02:00', ''])('refuses the zone "%s"', (timeZone) => {
    expect(scheduleProblems(job({ timeZone }))).toEqual([expect.stringContaining('is no time zone')]);
  });

  it('refuses a payload that its own type refuses, or that is too large', () => {
    const [wrong] = scheduleProblems(job({ payload: JSON.parse('{"dya":"today"}') }));
    expect(wrong).toContain('dya');
    const [large] = scheduleProblems(job({ payload: { day: 'x'.repeat(9_000) } }));
    expect(large).toContain('at most 8192');
  });

  it('allows tests, and nobody else, to tick faster', () => {
    expect(scheduleProblems(job({ cron: '*/2 * * * * *' }), 1_000)).toEqual([]);
  });

  it('refuses fields it does not know: what they ask for would not happen', () => {
    const wrong = scheduleProblems(job(JSON.parse('{"endDate":"2026-01-01","missed":"never"}')));
    expect(wrong).toEqual([expect.stringContaining('missed'), expect.stringContaining('endDate')]);
  });

  it('refuses a unique key beside it', () => {
    expect(scheduleProblems(job({}, { uniqueKey: () => 'one' }))).toEqual([expect.stringContaining('uniqueKey')]);
  });
});

it('declares what is left out: one run for missed ticks, none beside another; a line where all of them run', () => {
  const [one] = declaredSchedules([job({})]);
  expect(one).toMatchObject({
    type: 'report',
    missed: 'once',
    overlap: 'skip',
    json: '{"day":"yesterday"}',
    attempts: 4,
  });
  expect(declaredSchedules([job({ missed: 'all' })])).toMatchObject([{ missed: 'all', overlap: 'queue' }]);
  const { schedule: _none, ...rest } = job({});
  expect(declaredSchedules([defineJob(rest)])).toEqual([]);
});
