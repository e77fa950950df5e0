/** The short, seeded part of the fault matrix; `npm run faults` runs all of it, against stock BullMQ, for as long as wanted. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { program } from '../support/compiled.ts';

const seconds = 6;
// Ten times what one takes on an idle machine: a drain waits for leases, and others compute too.
const limitMs = 300_000;

const matrix = [
  ['F01', 'redis'],
  ['F04', 'redis'],
  ['F11', 'postgres'],
  ['F15', 'postgres'],
  ['F17', 'embedded'],
  ['F18', 'embedded'],
] as const;

interface Line {
  readonly seed: number;
  readonly accepted: number;
}

describe('the fault matrix, short', () => {
  it.each(matrix)(
    '%s on %s: nothing lost, no ghost, no double effect, no false dead letter, no stale write',
    async (name, store) => {
      const words = [name, '--store', store, '--seconds', String(seconds), '--json', '--without-stock'];
      // Red is exit 1: the error then shows the findings, the seed and the folder of the logs.
      const { stdout } = await promisify(execFile)(process.execPath, [...program('tests/faults/main.ts'), ...words]);
      const line = JSON.parse(stdout) as Line;
      expect(line).toMatchObject({
        scenario: name,
        store,
        lost: 0,
        unexpected: 0,
        doubleEffects: 0,
        falseDeadLetters: 0,
        staleWrites: 0,
        red: false,
        problems: [],
      });
      expect(line.accepted, `seed ${line.seed}`).toBeGreaterThan(10);
    },
    limitMs,
  );
});
