import { expect, test } from 'vitest';
import { putOffMs } from './tenant-pauses.ts';

test.each([
  ['just paused', { at: 0 }, 100, 0.5, 1_000],
  ['a minute ago', { at: 0 }, 60_000, 0.5, 30_000],
  ['a day ago, at the earliest', { at: 0 }, 86_400_000, 0, 45_000],
  ['a day ago, at the latest', { at: 0 }, 86_400_000, 1, 75_000],
  ['not beyond its end', { at: 0, until: 70_000 }, 60_000, 1, 10_000],
  ['never at once', { at: 0, until: 60_001 }, 60_000, 1, 1_000],
])('a job of a tenant that was paused %s asks again in time', (_what, pause, now, random, expected) => {
  expect(putOffMs(pause, now, random)).toBe(expected);
});
