import { describe, expect, it } from 'vitest';
import { judgeWorkers } from './doctor-fleet.ts';

const worker = { host: 'a', pid: 1, version: '1.2.0', clockOffMs: 12, notClaiming: null, circuits: [] };

describe('what doctor says of the workers', () => {
  it('is that all is well', () => {
    expect(judgeWorkers([], '1.2.0')).toMatchObject([{ state: 'ok', detail: 'none is running.' }]);
    expect(judgeWorkers([worker, { ...worker, clockOffMs: null }], '1.2.0')).toMatchObject([
      { state: 'ok', detail: '2, all of 1.2.0, all claiming.' },
    ]);
  });

  it.each([
    [[worker, { ...worker, version: '1.1.0' }], 'weak', '1 of 1.1.0, 1 of 1.2.0; this is 1.2.0.'],
    [[{ ...worker, version: '1.3.0' }], 'weak', '1 of 1.3.0; this is 1.2.0.'],
    [[worker, { ...worker, host: 'b', clockOffMs: -3_900_000 }], 'unsafe', "b/1 -3900000 ms off the store's clock."],
    [[{ ...worker, notClaiming: 'leases cannot be renewed' }], 'weak', 'a/1 claims nothing: leases cannot be renewed.'],
  ])('names what is wrong, with its cost and the way out: %j', (workers, state, detail) => {
    expect(judgeWorkers(workers, '1.2.0')).toEqual([
      { check: 'workers', state, detail, why: expect.any(String), fix: expect.any(String) },
    ]);
  });

  it('names each dependency that some of them do not ask now', () => {
    const broken = { ...worker, circuits: [{ name: 'smtp', state: 2 as const }] };
    expect(judgeWorkers([worker, broken], '1.2.0')).toMatchObject([
      { check: 'circuit breakers', state: 'weak', detail: 'smtp keeps failing in 1 of 2 workers.' },
    ]);
  });
});
