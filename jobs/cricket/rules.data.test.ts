/** Every worked number of the shared examples, against the pure rules. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { eloShift } from '../ranking-update/elo.ts';
import { afterPeriod } from '../ranking-update/glicko.ts';
import {
  matchPoints,
  printedRating,
  seriesHalfPoints,
  seriesRatingPoints,
  seriesWeight,
} from '../ranking-update/icc-points.ts';
import { halfWeight, rankingYear } from '../ranking-update/window.ts';
import { netRunRate, sharesOf } from '../stats-calculation/net-run-rate.ts';
import { printedBatting, printedBowling } from '../stats-calculation/printed.ts';
import { type KeptMatch, keptMatch } from './match.ts';
import { ballsOf } from './overs.ts';
import { readMatch } from './read-match.ts';

const folder = resolve(process.env['TEST_DATA'] ?? '../shared/data');
const isHere = existsSync(join(folder, 'domain-examples.json'));

const pair = <S extends z.ZodType>(of: S) => z.object({ a: of, b: of });
const side = z.object({
  rating: z.number(),
  points: z.number(),
  matches: z.number().optional(),
  weight: z.number().optional(),
});
const overs = z.object({ runs: z.number(), overs: z.string() });
const examplesSchema = z.object({
  ranking_icc: z.object({
    matches: z.array(
      z.object({
        case: z.string(),
        before: pair(side),
        result: z.string(),
        match_points: pair(z.number()),
        after: pair(side),
      }),
    ),
    test_series: z.array(
      z.object({
        case: z.string(),
        before: pair(side),
        tests: z.number(),
        wins_a: z.number(),
        wins_b: z.number(),
        series_points: pair(z.number()),
        rating_points: pair(z.number()),
        weight_added: z.number(),
        after: pair(side),
      }),
    ),
    published_tables: z.object({
      tables: z.array(
        z.object({
          table: z.string(),
          rows: z.array(z.object({ team: z.string(), matches: z.number(), points: z.number(), rating: z.number() })),
        }),
      ),
    }),
    weights: z.object({ examples: z.array(z.object({ as_of: z.string(), match: z.string(), weight: z.number() })) }),
  }),
  ranking_elo: z.object({
    pairs: z.array(
      z.object({
        ra: z.number(),
        rb: z.number(),
        score_a: z.number(),
        K: z.number(),
        after_a: z.number(),
        after_b: z.number(),
      }),
    ),
  }),
  ranking_glicko: z.object({
    player: z.object({ r: z.number(), RD: z.number(), sigma: z.number() }),
    games: z.array(z.object({ r: z.number(), RD: z.number(), score: z.number() })),
    glicko2: z.object({ r: z.number(), RD: z.number(), sigma: z.number() }),
  }),
  net_run_rate: z.object({
    cases: z.array(z.object({ case: z.string(), for: overs, against: overs, nrr: z.number() })),
  }),
  player_stats: z.object({ cases: z.array(z.record(z.string(), z.unknown())) }),
});
const examples = isHere
  ? examplesSchema.parse(JSON.parse(await readFile(join(folder, 'domain-examples.json'), 'utf8')))
  : undefined;

const matchOf = async (id: string): Promise<KeptMatch> =>
  keptMatch.parse({
    ...readMatch(id, await readFile(join(folder, 'cricket', `${id}.json`), 'utf8')),
    sha256: '-',
    source: { object: '-', entry: null },
    written: { job: '-', as: 'added' },
  });

describe.skipIf(!isHere)('worked numbers', () => {
  const {
    ranking_icc: icc,
    ranking_elo: elo,
    ranking_glicko: glicko,
    net_run_rate: nrr,
    player_stats: players,
  } = examples ?? {
    ranking_icc: undefined,
    ranking_elo: undefined,
    ranking_glicko: undefined,
    net_run_rate: undefined,
    player_stats: undefined,
  };

  test.each(icc?.matches ?? [])('ICC match, $case', ({ before, result, match_points, after }) => {
    const how = result === 'tie' ? 'tie' : result.startsWith('a') ? 'win' : 'loss';
    const [a, b] = matchPoints([before.a.rating, before.b.rating], how);
    expect({ a, b }).toEqual(match_points);
    for (const [one, points] of [
      ['a', a],
      ['b', b],
    ] as const) {
      const matches = (before[one].matches ?? 0) + 1;
      expect(after[one]).toEqual({
        matches,
        points: before[one].points + points,
        rating: printedRating(before[one].points + points, matches),
      });
    }
  });

  test.each(icc?.test_series ?? [])('ICC series, $case', (row) => {
    const series = { tests: row.tests, winsA: row.wins_a, winsB: row.wins_b };
    const [shareA, shareB] = seriesHalfPoints(series);
    expect({ a: shareA / 2, b: shareB / 2 }).toEqual(row.series_points);
    const [a, b] = seriesRatingPoints([row.before.a.rating, row.before.b.rating], series);
    expect({ a: a / 2, b: b / 2 }).toEqual(row.rating_points);
    expect(seriesWeight(series)).toBe(row.weight_added);
    for (const [one, halves] of [
      ['a', a],
      ['b', b],
    ] as const) {
      const weight = (row.before[one].weight ?? 0) + row.weight_added;
      const points = row.before[one].points + halves / 2;
      expect(row.after[one]).toEqual({ weight, points, rating: printedRating(2 * points, 2 * weight) });
    }
  });

  test.each(icc?.published_tables.tables ?? [])('published table $table: every rating, in its order', ({ rows }) => {
    expect(rows.map(({ points, matches }) => printedRating(points, matches))).toEqual(rows.map(({ rating }) => rating));
    const order = rows.toSorted((a, b) => b.points * a.matches - a.points * b.matches);
    expect(order).toEqual(rows);
  });

  test('all 48 published rows are there', () => {
    expect(icc?.published_tables.tables.flatMap(({ rows }) => rows)).toHaveLength(48);
  });

  test.each(icc?.weights.examples ?? [])('weight of $match on $as_of is $weight', ({ as_of, match, weight }) => {
    expect(halfWeight(rankingYear(as_of), rankingYear(match)) / 2).toBe(weight);
  });

  test.each(elo?.pairs ?? [])('Elo $ra v $rb, $score_a', ({ ra, rb, score_a, K, after_a, after_b }) => {
    const shift = eloShift(ra * 1e9, rb * 1e9, score_a, K) / 1e9;
    expect([ra + shift, rb - shift]).toEqual([expect.closeTo(after_a, 4), expect.closeTo(after_b, 4)]);
  });

  test('Glicko-2 of its paper', () => {
    const { player, games, glicko2 } = glicko ?? {
      player: { r: 0, RD: 0, sigma: 0 },
      games: [],
      glicko2: { r: 0, RD: 0, sigma: 0 },
    };
    const rated = afterPeriod(
      { rating: player.r, deviation: player.RD, volatility: player.sigma },
      games.map(({ r, RD, score }) => ({ rating: r, deviation: RD, score })),
    );
    expect(rated.rating).toBeCloseTo(glicko2.r, 3);
    expect(rated.deviation).toBeCloseTo(glicko2.RD, 3);
    expect(rated.volatility).toBeCloseTo(glicko2.sigma, 6);
  });

  test.each(nrr?.cases ?? [])('net run rate, $case', ({ for: scored, against, nrr: printed }) => {
    const share = ({ runs, overs }: typeof scored) => ({ runs, balls: ballsOf(overs, 6) ?? Number.NaN });
    const rate = netRunRate({ for: share(scored), against: share(against), ballsPerOver: 6 });
    // One case is published to two decimals only.
    expect(rate).toBeCloseTo(printed, String(printed).split('.')[1]?.length === 2 ? 2 : 3);
  });

  test.each(players?.cases ?? [])('player, $what', (row) => {
    const n = (key: string): number => (typeof row[key] === 'number' ? row[key] : 0);
    const batting = {
      innings: 1,
      runs: n('runs'),
      balls: n('balls'),
      dismissals: n('dismissals'),
      fours: 0,
      sixes: 0,
      fifties: 0,
      hundreds: 0,
      highest: null,
    };
    const bowling = {
      innings: 1,
      balls: n('legal_balls'),
      runs: n('runs_conceded'),
      wickets: n('wickets'),
      maidens: 0,
      best: null,
    };
    const isBowler = 'legal_balls' in row;
    const cut = (value: unknown): string =>
      typeof value === 'number' ? (Math.floor(value * 100 + 1e-6) / 100).toFixed(2) : '-';
    const bat = printedBatting(batting);
    const bowl = printedBowling(bowling, 6);
    const printed = isBowler ? bowl : bat;
    const wanted: Record<string, string> = {};
    if ('average' in row) wanted['average'] = cut(row['average']);
    if ('strike_rate' in row) wanted['strikeRate'] = cut(row['strike_rate']);
    if ('economy' in row) wanted['economy'] = cut(row['economy']);
    expect(printed).toMatchObject(wanted);
    for (const [key, value] of [
      ['printed_strike_rate', printed.strikeRate],
      ['printed_average', printed.average],
      ['printed_economy', bowl.economy],
    ] as const)
      expect(row[key] ?? value).toBe(value);
  });
});

describe.skipIf(!isHere)('match files', () => {
  const shares = async (id: string) => Object.fromEntries(sharesOf(await matchOf(id)) ?? []);

  test('1175358: one absent hurt makes nine wickets all out, so 20 overs count', async () => {
    expect((await shares('1175358'))['mumbai-indians']).toEqual({ runs: 176, balls: 120 });
  });
  test('501265: no result counts for nothing', async () => {
    expect(sharesOf(await matchOf('501265'))).toBeUndefined();
  });
  test('1216517: a tie, two super overs left out, and their winner', async () => {
    expect(await shares('1216517')).toEqual({
      'mumbai-indians': { runs: 176, balls: 120 },
      'punjab-kings': { runs: 176, balls: 120 },
    });
    expect((await matchOf('1216517')).outcome).toMatchObject({ result: 'tie', tieWinner: 'punjab-kings' });
  });
  test('335987: 119 legal balls are 20 overs', async () => {
    expect((await shares('335987'))['punjab-kings']).toEqual({ runs: 166, balls: 120 });
  });
  test('1359476: D/L gives the first side target - 1 over the target overs', async () => {
    expect(await shares('1359476')).toEqual({
      'punjab-kings': { runs: 153, balls: 96 },
      'kolkata-knight-riders': { runs: 146, balls: 96 },
    });
  });
  test('1426299: obstructing the field is the side’s wicket alone', async () => {
    const [, second] = (await matchOf('1426299')).innings;
    const kinds = (await matchOf('1426299')).innings.flatMap(({ batting }) => batting.map(({ out }) => out));
    expect(kinds).toContain('obstructing the field');
    expect(second?.bowling.reduce((sum, { wickets }) => sum + wickets, 0)).toBeLessThan(second?.wickets ?? 0);
  });
  test('1304066 retired out is a wicket, 1254104 retired hurt is none, 1370352 has a concussion substitute', async () => {
    const outs = async (id: string) =>
      (await matchOf(id)).innings.flatMap(({ batting }) => batting.flatMap(({ out }) => out ?? []));
    expect(await outs('1304066')).toContain('retired out');
    expect(await outs('1254104')).not.toContain('retired hurt');
    const { players, teams } = await matchOf('1370352');
    for (const { id } of teams) expect(players.filter(({ team }) => team === id).length).toBeGreaterThan(11);
  });
});
