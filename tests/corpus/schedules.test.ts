/** Schedules that nobody should declare: refused at boot with a sentence, at once; and clocks that jump. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { defineJob, type Job } from '../../jobs/define.ts';
import { declaredSchedules, type Schedule, scheduleProblems } from '../../jobs/schedule.ts';
import { nextTick } from '../../runtime/cron.ts';
import { crowding } from '../support/crowding.ts';
import { boundCorpus, corpora } from './bounds.ts';
import { clockCases, scheduleCases } from './schedules.ts';

boundCorpus('schedules');

/** A rule that never ticks is looked for through many years. */
const limitMs = 2_000;
const { schedule: _none, ...base } = defineJob({
  name: 'report',
  summary: 'Writes the report of a day.',
  payload: z.strictObject({ day: z.string().default('yesterday') }),
  result: z.object({}),
});
/** As somebody without a compiler writes it. */
const declaring = (schedule: Schedule): Job => ({ ...base, schedule });

test('there are enough of them, each with a name of its own', () => {
  expect(scheduleCases.length + clockCases.length).toBeGreaterThanOrEqual(corpora.schedules.cases);
  expect(new Set(scheduleCases.map(({ name }) => name)).size).toBe(scheduleCases.length);
});

test.each(scheduleCases)('$name', ({ schedule, says }) => {
  const startedAt = performance.now();
  const declared = JSON.parse(JSON.stringify({ cron: '0 3 * * *', timeZone: 'UTC', payload: {}, ...schedule }));
  const problems = scheduleProblems(declaring(declared));
  expect(performance.now() - startedAt).toBeLessThan(limitMs * crowding());
  expect(problems.join('\n').slice(0, 500)).toContain(says ?? '');
  expect(problems.length > 0).toBe(says !== undefined);
});

test.each(clockCases)('$name', ({ rule, from, ticks }) => {
  let at = Date.parse(from);
  const got = ticks.map(() => {
    at = nextTick(rule, at) ?? Number.NaN;
    return new Date(at).toISOString();
  });
  expect(got).toEqual(ticks);
});

test('ten thousand schedules are checked and declared', () => {
  const jobs = Array.from({ length: 10_000 }, (_, n) => {
    const schedule = { cron: `${n % 60} ${n % 24} * * *`, timeZone: 'UTC', payload: {} };
    return { ...base, name: `report-${n}`, schedule };
  });
  const startedAt = performance.now();
  expect(jobs.flatMap((job) => scheduleProblems(job))).toEqual([]);
  expect(declaredSchedules(jobs)).toHaveLength(10_000);
  expect(performance.now() - startedAt).toBeLessThan(5_000 * crowding());
}, 300_000);
