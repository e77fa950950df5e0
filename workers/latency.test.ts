import { expect, it } from 'vitest';
import { createLatency } from './latency.ts';

it('knows the lengths of a window to 10 %, and nothing of what was before it', () => {
  let now = 0;
  const latency = createLatency(() => now);
  expect(latency.summary(60_000)).toEqual({ ended: 0, meanMs: null, p50Ms: null, p95Ms: null });
  for (let ms = 1; ms <= 1_000; ms += 1) latency.note(ms);
  const { ended, meanMs, p50Ms, p95Ms } = latency.summary(60_000);
  expect([ended, meanMs]).toEqual([1_000, 501]);
  expect(p50Ms).toBeGreaterThan(500);
  expect(p50Ms).toBeLessThan(550);
  expect(p95Ms).toBeGreaterThan(950);
  expect(p95Ms).toBeLessThan(1_045);
  now = 70_000;
  latency.note(20_000);
  expect(latency.summary(60_000)).toMatchObject({ ended: 1, meanMs: 20_000 });
  expect(latency.summary(300_000).ended).toBe(1_001);
  now = 400_000;
  expect(latency.summary(300_000).ended).toBe(0);
});

it('takes what is shorter than a millisecond and longer than a day', () => {
  const latency = createLatency(() => 0);
  latency.note(0);
  latency.note(1e9);
  expect(latency.summary(60_000)).toMatchObject({ ended: 2, p50Ms: 1 });
});
