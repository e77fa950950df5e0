/** P9: matches shuffled, repeated, revised and crashed in between give the tables of one quiet run. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { cricsheet, international, singles } from './support/cricket.ts';
import { type Desk, openDesk } from './support/cricket-desk.ts';

let desks: Desk[] = [];
const open = async (): Promise<Desk> => {
  const desk = await openDesk();
  desks.push(desk);
  return desk;
};
afterEach(async () => {
  for (const desk of desks) await desk.close();
  desks = [];
});

const clubs = ['Alpha', 'Beta', 'Gamma', 'Delta'];
const league = (id: number, revision: number): string => {
  const one = clubs[id % 4] ?? '';
  const other = clubs[(id + 1 + (id % 3)) % 4] ?? '';
  const isFirst = (id + revision) % 2 === 0;
  const overs = (side: 'A' | 'B', runs: number) => Array.from({ length: 3 }, (_, at) => singles(at, side, runs));
  return JSON.stringify(
    cricsheet({
      date: `2024-04-${String(1 + (id % 9)).padStart(2, '0')}`,
      teams: [one, other],
      outcome: { winner: isFirst ? one : other },
      meta: { revision },
      innings: [
        { team: one, overs: overs('A', isFirst ? 2 : 1) },
        { team: other, overs: overs('B', isFirst ? 1 : 2), target: { runs: 19, overs: 20 } },
      ],
    }),
  );
};
const sides = ['India', 'Australia', 'England', 'Pakistan'] as const;
const test = (id: number, revision: number): string => {
  const teams = [sides[id % 4] ?? 'India', sides[(id + 1 + (id % 3)) % 4] ?? 'Australia'] as const;
  const winner = [teams[0], teams[1], null][(id + revision) % 3] ?? null;
  const date = `${2024 + (id % 3)}-${String(1 + (id % 10)).padStart(2, '0')}-10`;
  const file = international(id % 2 === 0 ? 'Test' : 'ODI', { date, teams, winner });
  return JSON.stringify({ ...file, meta: { data_version: '1.1.0', created: date, revision } });
};
const fileOf = (id: number, revision: number): string => (id < 10 ? league(id, revision) : test(id, revision));

const everything = async (desk: Desk) => ({
  points: await desk.tables('stats_tables', 'points_table_rows'),
  players: await desk.tables('stats_tables', 'player_statistics'),
  rankings: await desk.tables('ranking_tables', 'rankings'),
});

/** There before anything else, so that every ranking exists. */
const seeds = {
  '98.json': JSON.stringify(
    international('Test', { date: '2024-01-05', teams: ['India', 'England'], winner: 'India' }),
  ),
  '99.json': JSON.stringify(international('ODI', { date: '2024-01-05', teams: ['India', 'England'], winner: 'India' })),
};

/** Elo and Glicko-2 are recomputed once somebody has asked for them. */
async function askForAll(desk: Desk): Promise<void> {
  for (const format of ['odi', 'test'])
    for (const method of ['icc', 'elo', 'glicko2']) await desk.run('ranking-update', { format, method });
}

const delivery = fc.record({
  files: fc.uniqueArray(fc.record({ id: fc.nat(19), revision: fc.integer({ min: 1, max: 3 }) }), {
    minLength: 1,
    maxLength: 5,
    selector: ({ id }) => id,
  }),
  dieAt: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
  followNow: fc.boolean(),
});

describe('P9 of the cricket types', () => {
  it('holds for any order, repetition, revision and crash', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(delivery, { minLength: 1, maxLength: 6 }),
        fc.infiniteStream(fc.nat(1_000)),
        async (deliveries, random) => {
          const desk = await open();
          await desk.ingest(seeds);
          await askForAll(desk);
          const next = () => random.next().value;
          const follow = () =>
            desk.follow({
              pick: (count) => next() % count,
              dieAt: () => (next() % 3 === 0 ? 1 + (next() % 8) : undefined),
            });
          const newest = new Map<number, number>();
          for (const { files, dieAt, followNow } of deliveries) {
            const named = files.map(({ id, revision }) => [`${id}.json`, fileOf(id, revision)]);
            await desk.ingest(Object.fromEntries(named), dieAt);
            for (const { id, revision } of files) newest.set(id, Math.max(revision, newest.get(id) ?? 0));
            if (followNow) await follow();
          }
          await follow();
          const quiet = await open();
          const last = [...newest].map(([id, revision]) => [`${id}.json`, fileOf(id, revision)]);
          await quiet.ingest({ ...seeds, ...Object.fromEntries(last) });
          await quiet.follow();
          await askForAll(quiet);
          expect(await everything(desk)).toEqual(await everything(quiet));
          for (const one of [desk, quiet]) await one.close();
        },
      ),
      { numRuns: 20 },
    );
  });
});
