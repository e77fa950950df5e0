import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { compiled } from '../tests/support/compiled.ts';
import type { Goal } from './goal.ts';

/** Compiled: a loader would cost each side a different share. */
async function measured(): Promise<Goal[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    fileURLToPath(compiled('bench/processes/guards.ts')),
  ]);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Goal);
}

it('breaks no guard, the second time at the latest', { retry: 1, timeout: 300_000 }, async () => {
  const goals = await measured();
  expect(goals).toHaveLength(8);
  const figures = goals.map(({ goal, name, backend, ratio, cpuRatio, verdict }) => ({
    verdict,
    figure: `${goal} ${name} (${backend}): ${ratio.toFixed(2)}×, CPU ${cpuRatio?.toFixed(2)}×`,
  }));
  expect(figures.filter(({ verdict }) => verdict === 'guard broken')).toEqual([]);
});
