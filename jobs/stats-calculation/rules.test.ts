import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KeptMatch } from '../cricket/match.ts';
import { keptMatch } from '../cricket/match.ts';
import { compareRates, netRunRate, sharesOf } from './net-run-rate.ts';
import { playerTable } from './player-table.ts';
import { pointsTable } from './points-table.ts';
import { printedBatting, printedBowling } from './printed.ts';

const runs = 2_000;

interface Side {
  readonly runs: number;
  readonly balls: number;
  readonly allOut?: boolean;
}

/** A match of 20 overs as it is kept; the sides are letters. */
function played(
  id: number,
  sides: readonly [string, string],
  [a, b]: readonly [Side, Side],
  more: { outcome?: object; target?: { runs: number; balls: number }; date?: string } = {},
): KeptMatch {
  const date = more.date ?? '2024-04-01';
  const innings = (team: string, { runs, balls, allOut = false }: Side, target: object | null) => ({
    team,
    runs,
    wickets: allOut ? 10 : 3,
    balls,
    oversBalls: balls,
    allOut,
    superOver: false,
    declared: false,
    forfeited: false,
    target,
    extras: { wides: 0, noballs: 0, byes: 0, legbyes: 0, penalty: 0 },
    batting: [],
    bowling: [],
  });
  const result = a.runs === b.runs ? 'tie' : 'win';
  const winner = a.runs === b.runs ? null : a.runs > b.runs ? sides[0] : sides[1];
  return keptMatch.parse({
    _id: String(id),
    revision: 1,
    created: date,
    sha256: 'x',
    dataVersion: '1.1.0',
    source: { object: 'object:x', entry: null },
    written: { job: 'x', as: 'added' },
    date,
    dates: [date],
    order: `${date}/${String(id).padStart(12, '0')}`,
    season: '2024',
    gender: 'male',
    matchType: 'T20',
    teamType: 'club',
    format: null,
    competition: 'League',
    stage: null,
    group: null,
    matchNumber: id,
    venue: null,
    city: null,
    overs: 20,
    ballsPerOver: 6,
    teams: sides.map((side) => ({ id: side, name: side.toUpperCase() })),
    outcome: { result, winner, tieWinner: null, method: null, by: null, ...more.outcome },
    innings: [innings(sides[0], a, null), innings(sides[1], b, more.target ?? { runs: a.runs + 1, balls: 120 })],
    players: [],
  });
}

describe('what counts for the net run rate', () => {
  const shares = (...of: Parameters<typeof played>) => Object.fromEntries(sharesOf(played(...of)) ?? []);

  it('is the quota for a side that is bowled out, and the overs it needed for one that gets there', () => {
    expect(
      shares(
        1,
        ['a', 'b'],
        [
          { runs: 110, balls: 90, allOut: true },
          { runs: 111, balls: 60 },
        ],
      ),
    ).toEqual({
      a: { runs: 110, balls: 120 },
      b: { runs: 111, balls: 60 },
    });
    // The last pair gets there.
    const close = { runs: 111, balls: 117, allOut: true };
    expect(shares(1, ['a', 'b'], [{ runs: 110, balls: 120 }, close])['b']).toEqual({ runs: 111, balls: 117 });
  });

  it('is the reduced quota in a shortened match', () => {
    const target = { runs: 81, balls: 60 };
    const sides = [
      { runs: 80, balls: 50, allOut: true },
      { runs: 40, balls: 40, allOut: true },
    ] as const;
    expect(shares(1, ['a', 'b'], sides, { target })).toEqual({
      a: { runs: 80, balls: 60 },
      b: { runs: 40, balls: 60 },
    });
  });

  it('is target - 1 over the target overs for the first side when rain set the target', () => {
    const more = { target: { runs: 90, balls: 56 }, outcome: { method: 'D/L' } };
    expect(
      shares(
        1,
        ['a', 'b'],
        [
          { runs: 191, balls: 120 },
          { runs: 80, balls: 56 },
        ],
        more,
      ),
    ).toEqual({
      a: { runs: 89, balls: 56 },
      b: { runs: 80, balls: 56 },
    });
  });

  it('is nothing without a result, or when a match was awarded', () => {
    const sides = [
      { runs: 100, balls: 120 },
      { runs: 50, balls: 40 },
    ] as const;
    expect(sharesOf(played(1, ['a', 'b'], sides, { outcome: { result: 'no result', winner: null } }))).toBeUndefined();
    expect(sharesOf(played(1, ['a', 'b'], sides, { outcome: { method: 'Awarded' } }))).toBeUndefined();
  });
});

describe('a points table', () => {
  const won = { runs: 150, balls: 120 };
  const lost = { runs: 120, balls: 120 };
  const matches = [
    played(1, ['a', 'b'], [won, lost], { date: '2024-04-01' }),
    played(2, ['b', 'c'], [won, lost], { date: '2024-04-03' }),
    played(3, ['c', 'a'], [lost, lost], { date: '2024-04-05', outcome: { tieWinner: 'a' } }),
  ];
  const points = (table: ReturnType<typeof pointsTable>) =>
    Object.fromEntries(table.rows.map((row) => [row.teamId, row.points]));

  it('gives two points to the winner of a super over, one each for a tie or no result', () => {
    expect(points(pointsTable(matches))).toEqual({ a: 4, b: 2, c: 0 });
    const open = [
      played(1, ['a', 'b'], [lost, lost]),
      played(2, ['a', 'b'], [won, lost], { outcome: { result: 'no result', winner: null } }),
    ];
    expect(pointsTable(open).rows).toMatchObject([
      { points: 2, tied: 1, noResult: 1, played: 2 },
      { points: 2, tied: 1, noResult: 1, played: 2 },
    ]);
  });

  it('is complete only when it knows all fixtures up to its last day', () => {
    const fixture = (date: string, teams: string[], abandoned = false) => ({ date, teams, abandoned });
    const known = [
      fixture('2024-04-01', ['B', 'A']),
      fixture('2024-04-03', ['B', 'C']),
      fixture('2024-04-05', ['A', 'C']),
    ];
    expect(pointsTable(matches).complete).toBe(false);
    expect(pointsTable(matches, known).complete).toBe(true);
    expect(pointsTable(matches, [...known, fixture('2024-04-09', ['A', 'B'])]).complete).toBe(true);
    expect(pointsTable(matches, [...known, fixture('2024-04-04', ['A', 'B'])]).complete).toBe(false);
    const abandoned = pointsTable(matches, [...known, fixture('2024-04-04', ['A', 'B'], true)]);
    expect(abandoned.complete).toBe(true);
    expect(points(abandoned)).toEqual({ a: 5, b: 3, c: 0 });
    // What was played after all counts once.
    expect(points(pointsTable(matches, [fixture('2024-04-01', ['A', 'B'], true)]))).toEqual({ a: 4, b: 2, c: 0 });
  });

  it('orders by points, the exact rate, the name', () => {
    const close = [
      played(
        1,
        ['z', 'y'],
        [
          { runs: 150, balls: 120 },
          { runs: 149, balls: 120 },
        ],
      ),
      played(
        2,
        ['x', 'w'],
        [
          { runs: 1_500_002, balls: 1_200_000 },
          { runs: 1_490_001, balls: 1_200_000 },
        ],
      ),
      played(
        3,
        ['n', 'm'],
        [
          { runs: 150, balls: 120 },
          { runs: 149, balls: 120 },
        ],
      ),
    ];
    // All three print 0.050; that of x is greater by 0.000005.
    expect(pointsTable(close).rows.map((row) => row.teamId)).toEqual(['x', 'n', 'z', 'm', 'y', 'w']);
    expect(new Set(pointsTable(close).rows.map((row) => Math.abs(row.netRunRate)))).toEqual(new Set([0.05]));
  });
});

const side = fc.record({ runs: fc.nat(400), balls: fc.integer({ min: 1, max: 120 }), allOut: fc.boolean() });
const teams = ['a', 'b', 'c', 'd'];
const season = fc
  .array(
    fc.record({ first: fc.nat(3), second: fc.nat(2), a: side, b: side, day: fc.nat(27), noResult: fc.boolean() }),
    { maxLength: 12 },
  )
  .map((all) =>
    all.map(({ first, second, a, b, day, noResult }, at) => {
      const one = teams[first] ?? 'a';
      const other = teams.filter((team) => team !== one)[second] ?? 'b';
      const more = noResult ? { outcome: { result: 'no result', winner: null } } : {};
      return played(at + 1, [one, other], [a, b], { ...more, date: `2024-04-${String(day + 1).padStart(2, '0')}` });
    }),
  );

describe('P9 of tables', () => {
  it('does not see the order of matches, nor one that comes twice', () => {
    fc.assert(
      fc.property(season, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (matches, random) => {
        const twice = [...matches, ...matches.filter(() => random.next().value > 0.5)];
        const shuffled = twice.map((match) => ({ match, at: random.next().value })).toSorted((x, y) => x.at - y.at);
        expect(pointsTable(shuffled.map(({ match }) => match))).toEqual(pointsTable(matches));
      }),
      { numRuns: runs },
    );
  });

  it('conserves runs, balls and points', () => {
    fc.assert(
      fc.property(season, (matches) => {
        const { rows } = pointsTable(matches);
        const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((all, row) => all + of(row), 0);
        expect(sum((row) => row.for.runs)).toBe(sum((row) => row.against.runs));
        expect(sum((row) => row.for.balls)).toBe(sum((row) => row.against.balls));
        expect(sum((row) => row.points)).toBe(2 * matches.length);
        expect(sum((row) => row.played)).toBe(2 * matches.length);
      }),
      { numRuns: runs },
    );
  });

  it('prints and orders rates as a rational reference does', () => {
    const share = fc.record({ runs: fc.nat(1e6), balls: fc.integer({ min: 1, max: 1e6 }) });
    const rate = fc.record({ for: share, against: share, ballsPerOver: fc.constantFrom(5, 6, 8) });
    fc.assert(
      fc.property(rate, rate, (a, b) => {
        const over = (r: typeof a) =>
          BigInt(r.ballsPerOver) *
          (BigInt(r.for.runs) * BigInt(r.against.balls) - BigInt(r.against.runs) * BigInt(r.for.balls));
        const under = (r: typeof a) => BigInt(r.for.balls) * BigInt(r.against.balls);
        expect(Math.sign(compareRates(a, b))).toBe(
          Number(over(a) * under(b) > over(b) * under(a)) - Number(over(a) * under(b) < over(b) * under(a)),
        );
        // |printed - exact| is at most half a thousandth: in whole numbers, 2 |1000 over - t under| <= under.
        const thousandths = BigInt(Math.round(netRunRate(a) * 1_000));
        const error = 2n * (1_000n * over(a) - thousandths * under(a));
        expect((error < 0n ? -error : error) <= under(a)).toBe(true);
      }),
      { numRuns: runs },
    );
  });

  it('rounds halves away from zero', () => {
    const of = (runsFor: number, runsAgainst: number) =>
      netRunRate({
        for: { runs: runsFor, balls: 6_000 },
        against: { runs: runsAgainst, balls: 6_000 },
        ballsPerOver: 6,
      });
    // 1 run in 1,000 overs is 0.001; two thousand overs halve it.
    expect([of(1, 0), of(0, 1), of(0, 0)]).toEqual([0.001, -0.001, 0]);
    const half = { for: { runs: 1, balls: 12_000 }, against: { runs: 0, balls: 12_000 }, ballsPerOver: 6 };
    expect([netRunRate(half), netRunRate({ ...half, for: half.against, against: half.for })]).toEqual([0.001, -0.001]);
  });
});

describe('players', () => {
  const line = { id: 'p', name: 'P', runs: 0, balls: 0, fours: 0, sixes: 0, out: null };
  const withBatting = (id: number, ...batting: object[]) => {
    const match = played(
      id,
      ['a', 'b'],
      [
        { runs: 1, balls: 6 },
        { runs: 0, balls: 6 },
      ],
    );
    const [first, second] = match.innings;
    return keptMatch.parse({
      ...match,
      innings: [
        { ...first, batting },
        { ...second, superOver: true, batting: [{ ...line, runs: 30 }] },
      ],
    });
  };

  it('have their best score not out first, fifties and hundreds apart, and no super over', () => {
    const matches = [
      withBatting(1, { ...line, runs: 50, balls: 30, out: 'bowled' }),
      withBatting(2, { ...line, runs: 113, balls: 70, out: 'caught' }),
      withBatting(3, { ...line, runs: 113, balls: 71 }),
    ];
    const [row] = playerTable(matches);
    expect(row?.batting).toMatchObject({
      innings: 3,
      runs: 276,
      dismissals: 2,
      fifties: 1,
      hundreds: 2,
      highest: { runs: 113, notOut: true },
    });
    expect(playerTable([...matches.toReversed(), ...matches])).toEqual(playerTable(matches));
  });

  it('are printed cut, not rounded, and with a dash where nothing divides', () => {
    const bat = {
      innings: 1,
      runs: 741,
      balls: 479,
      dismissals: 12,
      fours: 0,
      sixes: 0,
      fifties: 0,
      hundreds: 0,
      highest: null,
    };
    expect(printedBatting(bat)).toEqual({ average: '61.75', strikeRate: '154.69', highest: '-' });
    expect(printedBatting({ ...bat, runs: 0, balls: 0, dismissals: 0 })).toMatchObject({
      average: '-',
      strikeRate: '-',
    });
    const bowl = { innings: 1, balls: 294, runs: 477, wickets: 24, maidens: 0, best: { wickets: 3, runs: 15 } };
    expect(printedBowling(bowl, 6)).toEqual({
      overs: '49.0',
      average: '19.87',
      economy: '9.73',
      strikeRate: '12.25',
      best: '3/15',
    });
    expect(printedBowling({ ...bowl, balls: 22, runs: 31, wickets: 0, best: null }, 6)).toMatchObject({
      overs: '3.4',
      economy: '8.45',
      average: '-',
      best: '-',
    });
  });
});
