/** The short, seeded part of the fault matrix; `npm run faults` runs all of it, against stock BullMQ, for as long as wanted. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { program } from '../support/compiled.ts';

const seconds = 10;
/** Counts are judged here, no times, so two may run side by side. */
const atOnce = 2;
const seed = 4_242;
/** What the shared runner of a project carries beside other suites. */
const rate = 60;
// Many times what they take on an idle machine: a drain waits for leases, and others compute too.
const limitMs = 1_200_000;

/** Each store three times. F22 makes a file system, which needs root. */
const matrix = {
  redis: ['F01', 'F04', 'F08'],
  postgres: ['F11', 'F14', 'F15'],
  embedded: ['F17', 'F18', 'F22'],
} as const;
const rows = Object.entries(matrix).flatMap(([store, names]) => names.map((name) => [name, store] as const));

/**
 * Under Sentinels an accepted job may be lost with the primary, and with `everysec` on a busy disk with its last writes;
 * what is red there is anything else.
 */
const needsLedger = new Set<string>(['F04', 'F08']);

let folder = '';
let said = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-short-faults-'));
  const words = ['--seconds', seconds, '--rate', rate, '--seed', seed, '--at-once', atOnce, '--without-stock'];
  const command = [...program('tests/faults/main.ts'), ...rows.map(([name, store]) => `${name}:${store}`)];
  const run = promisify(execFile)(process.execPath, [...command, ...words.map(String), '--out', folder]);
  // Red is exit 1: each row says in its own test what is wrong.
  const { stderr } = await run.catch((error: { readonly stderr: string }) => error);
  said = stderr;
}, limitMs);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the fault matrix, short', () => {
  const isRoot = process.getuid?.() === 0;
  it.each(rows)(
    '%s on %s: nothing lost, no ghost, no double effect, no false dead letter, no stale write',
    async (name, store) => {
      if (name === 'F22' && !isRoot && process.env['CI'] !== 'true') return;
      expect(await readdir(folder), said).toContain(`${name}-${store}.json`);
      const row: unknown = JSON.parse(await readFile(join(folder, `${name}-${store}.json`), 'utf8'));
      const zero = { unexpected: 0, doubleEffects: 0, falseDeadLetters: 0, staleWrites: 0, lost: 0 };
      expect(row, said).toMatchObject({ red: false, problems: [], ...(needsLedger.has(name) ? {} : zero) });
      expect(row).toHaveProperty(
        'accepted',
        expect.toSatisfy((accepted: number) => accepted > 10),
      );
    },
  );
});
