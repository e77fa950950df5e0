/**
 * Every file of the cricket folder through the whole fleet: uploaded over HTTP, taken in, and what follows read over HTTP.
 * On the embedded store; besides on Redis with MongoDB and on PostgreSQL where their addresses are given.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { KeptMatch } from '../jobs/cricket/match.ts';
import { keptMatch } from '../jobs/cricket/match.ts';
import { oversText } from '../jobs/cricket/overs.ts';
import { type FreshStore, storeChoices } from './support/fresh-stores.ts';
import { inputsOf, printRows, type Row } from './support/shared-data.ts';
import { testResultFiles } from './support/test-results.ts';
import { openWholeFleet, type WholeFleet } from './support/whole-fleet.ts';
import { makeZip } from './support/zip.ts';

const data = resolve(process.env['TEST_DATA'] ?? '../shared/data');
const folder = join(data, 'cricket');
const isHere = existsSync(join(folder, 'expected.json'));
const types = ['match-aggregation', 'ranking-update', 'stats-calculation'];

const stores = storeChoices('cricket-fleet');

const expectedSchema = z.object({
  'ipl-2024.zip': z.object({
    matches_in_zip: z.number(),
    league_matches: z.number(),
    table: z.array(
      z.object({
        team: z.string(),
        played_in_data: z.number(),
        won: z.number(),
        lost: z.number(),
        no_result: z.number(),
        points_in_data: z.number(),
        nrr: z.number(),
        for: z.string(),
        against: z.string(),
      }),
    ),
    players: z.object({
      totals_without_super_overs: z.record(z.string(), z.number()),
      batting: z.array(
        z.object({
          player: z.string(),
          innings: z.number(),
          runs: z.number(),
          balls: z.number(),
          dismissals: z.number(),
          fours: z.number(),
          sixes: z.number(),
          fifties: z.number(),
          hundreds: z.number(),
          highest: z.string(),
        }),
      ),
      bowling: z.array(
        z.object({
          player: z.string(),
          balls: z.number(),
          runs: z.number(),
          wickets: z.number(),
          best: z.string(),
          maidens: z.number(),
        }),
      ),
    }),
    published_checks: z.tuple([
      z.object({
        until: z.string(),
        nrr: z.record(z.string(), z.number()),
        points: z.record(z.string(), z.number()),
      }),
      z.object({
        batting: z.record(z.string(), z.record(z.string(), z.union([z.string(), z.number()]))),
        bowling: z.record(z.string(), z.record(z.string(), z.union([z.string(), z.number()]))),
      }),
    ]),
    abandoned_without_a_ball_not_in_data: z.array(z.tuple([z.string(), z.string(), z.string()])),
  }),
});
const factsSchema = z.object({
  date: z.string(),
  teams: z.array(z.string()),
  innings: z.array(
    z.looseObject({
      score: z.string(),
      legal_balls: z.number(),
      extras: z.record(z.string(), z.number()).optional(),
    }),
  ),
});
const eloSchema = z.object({
  ranking_elo: z.object({
    replay: z.object({ ratings: z.record(z.string(), z.number()), sum_of_ratings: z.number() }),
  }),
});
const json = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, 'utf8'));
const expected = isHere ? expectedSchema.parse(await json(join(folder, 'expected.json')))['ipl-2024.zip'] : undefined;
const singles = isHere ? (await readdir(folder)).filter((file) => /^\d+\.json$/.test(file)).toSorted() : [];

const tablesAnswer = z.object({
  tables: z.array(
    z.looseObject({ table: z.string(), complete: z.boolean(), rows: z.array(z.record(z.string(), z.unknown())) }),
  ),
});

describe.skipIf(!isHere).each(stores)('the cricket folder on $name', ({ name, open }) => {
  let store: FreshStore;
  let fleet: WholeFleet;
  const taken: Row[] = [];
  const season = async (): Promise<KeptMatch[]> => {
    const { items } = await fleet.documents.page('matches', {
      filter: { season: '2024', competition: 'Indian Premier League' },
      limit: 1_000,
    });
    return items.map((item) => keptMatch.parse(item));
  };
  const ingest = async (file: string, bytes: Uint8Array): Promise<unknown> => {
    const { result, error } = await fleet.run('match-aggregation', { source: await fleet.upload(file, bytes) });
    if (error !== null) throw new Error(`${file}: ${error.code} ${error.message}`);
    return result;
  };
  /** Once, as the first of everybody; `name` is that of the file in the folder. */
  const takeIn = async (name: string, bytes: Uint8Array, expected: object): Promise<void> => {
    const got = await ingest(name.replace('.txt', '.zip'), bytes);
    taken.push({ file: `cricket/${name}`, expected: JSON.stringify(expected), got: JSON.stringify(got) });
    expect(got, name).toEqual(expected);
  };
  const read = async (path: string) => {
    const { status, json: answer } = await fleet.get(path);
    expect(status, JSON.stringify(answer)).toBe(200);
    return answer;
  };

  beforeAll(async () => {
    store = await open();
    fleet = await openWholeFleet({ store, queues: types });
  });
  afterAll(async () => {
    printRows(`cricket on ${name}`, taken);
    await fleet.close();
    await store.drop();
  });

  test('takes in every file', async () => {
    const one = { added: 1, replaced: 0, ignored: 0 };
    await Promise.all(singles.map(async (file) => takeIn(file, await readFile(join(folder, file)), one)));
    // One match of the season is among the single files.
    const season = { added: 70, replaced: 0, ignored: 1 };
    await takeIn('ipl-2024.zip', await readFile(join(folder, 'ipl-2024.zip')), season);
    // Lines of text, which the job does not take: each as the file of a match.
    const results = testResultFiles(await readFile(join(folder, 'test-results.txt'), 'utf8'));
    const zip = makeZip([...results].map(([name, bytes]) => ({ name, bytes })));
    await takeIn('test-results.txt', zip, { added: 838, replaced: 0, ignored: 0 });
    expect(taken.map(({ file }) => file).toSorted()).toEqual(inputsOf('match-aggregation').toSorted());
    expect(await fleet.settled(types)).toMatchObject({ failed: 0 });
  }, 120_000);

  test('keeps of each match what the manifest states', async () => {
    const { entries } = z
      .object({ entries: z.array(z.object({ file: z.string(), facts: z.unknown() })) })
      .parse(await json(join(data, 'manifest.json')));
    const documents = fleet.documents;
    for (const file of singles) {
      const facts = factsSchema.parse(entries.find((entry) => entry.file === `cricket/${file}`)?.facts);
      const match = keptMatch.parse(await documents.get('matches', file.slice(0, -5)));
      expect(match.date, file).toBe(facts.date);
      expect(
        match.teams.map(({ name }) => name),
        file,
      ).toEqual(facts.teams);
      const innings = match.innings.map(({ runs, wickets, balls, extras }) => ({
        score: `${runs}/${wickets}`,
        balls,
        extras,
      }));
      expect(innings, file).toEqual(
        facts.innings.map(({ score, legal_balls, extras }) => ({
          score,
          balls: legal_balls,
          extras: { wides: 0, noballs: 0, byes: 0, legbyes: 0, penalty: 0, ...extras },
        })),
      );
    }
  });

  test('the season table and its ten net run rates', async () => {
    const { tables } = tablesAnswer.parse(await read('/v1/points-tables?season=2024'));
    expect(tables).toHaveLength(1);
    expect(tables[0]?.complete).toBe(false);
    const shown = tables[0]?.rows.map((row) => ({
      team: row['team'],
      played_in_data: row['played'],
      won: row['won'],
      lost: row['lost'],
      no_result: row['noResult'],
      points_in_data: row['points'],
      nrr: row['netRunRate'],
      for: `${String(row['runsFor'])}/${String(row['oversFor'])}`,
      against: `${String(row['runsAgainst'])}/${String(row['oversAgainst'])}`,
    }));
    expect(shown).toEqual(expected?.table);
  });

  test('the published table of 15 May: with its fixtures a table is complete and its points are right', async () => {
    const [check] = expected?.published_checks ?? [];
    const league = (await season()).filter(({ stage, date }) => stage === null && date <= (check?.until ?? ''));
    const fixtures = [
      ...league.map(({ date, teams }) => ({ date, teams: teams.map(({ name }) => name) })),
      ...(expected?.abandoned_without_a_ball_not_in_data ?? []).map(([date, ...teams]) => ({
        date,
        teams,
        abandoned: true,
      })),
    ];
    const run = (more: object) =>
      fleet.run('stats-calculation', { kind: 'points-table', matchIds: league.map(({ _id }) => _id), ...more });
    expect((await run({})).result).toMatchObject({ rows: 10, complete: false });
    const until = fixtures.filter(({ date }) => date <= (check?.until ?? ''));
    const { result } = await run({ fixtures: until });
    expect(result).toMatchObject({ rows: 10, complete: true });
    const documents = fleet.documents;
    const [id = ''] = z.array(z.string()).parse(result?.['tables']);
    const head = await documents.get('stats_tables', id);
    const { items } = await documents.page('points_table_rows', {
      filter: { table: id, label: String(head?.['label']) },
    });
    expect(Object.fromEntries(items.map((row) => [row['team'], row['netRunRate']]))).toEqual(check?.nrr);
    expect(Object.fromEntries(items.map((row) => [row['team'], row['points']]))).toEqual(check?.points);
  });

  test('ten batters, ten bowlers and the totals of the season', async () => {
    const rows = async (order: string) => {
      const { tables } = tablesAnswer.parse(await read(`/v1/player-statistics?season=2024&order=${order}`));
      return tables[0]?.rows ?? [];
    };
    const byRuns = await rows('runs');
    const batting = byRuns.slice(0, 10).map((row) => ({
      player: row['player'],
      innings: row['innings'],
      runs: row['runs'],
      balls: row['ballsFaced'],
      dismissals: row['dismissals'],
      fours: row['fours'],
      sixes: row['sixes'],
      fifties: row['fifties'],
      hundreds: row['hundreds'],
      highest: row['highest'],
    }));
    expect(batting).toEqual(expected?.players.batting);
    const byWickets = (await rows('wickets')).map((row) => ({
      player: row['player'],
      balls: row['ballsBowled'],
      runs: row['runsConceded'],
      wickets: row['wickets'],
      best: row['best'],
      maidens: row['maidens'],
    }));
    // Ties in wickets have no published order.
    expect(new Set(byWickets.slice(0, 10).map(({ player }) => player))).toEqual(
      new Set(expected?.players.bowling.map(({ player }) => player)),
    );
    for (const row of expected?.players.bowling ?? []) expect(byWickets).toContainEqual(row);
    const [, printed] = expected?.published_checks ?? [];
    for (const [player, row] of Object.entries(printed?.batting ?? {}))
      expect(byRuns.find((one) => one['player'] === player)).toMatchObject({
        runs: row['runs'],
        battingAverage: row['average'],
        battingStrikeRate: row['strike_rate'],
      });
    const patel = (await rows('wickets')).find((one) => one['player'] === 'HV Patel');
    expect(patel).toMatchObject({ wickets: 24, overs: '49.0', bowlingAverage: '19.87', economy: '9.73' });
    const played = (await season()).flatMap(({ innings }) => innings.filter(({ superOver }) => !superOver));
    const sum = (of: (one: KeptMatch['innings'][number]) => number) => played.reduce((all, one) => all + of(one), 0);
    const totals = {
      matches: (await season()).length,
      runs: sum(({ runs }) => runs),
      legal_balls: sum(({ balls }) => balls),
      wickets: sum(({ wickets }) => wickets),
      wide_runs: sum(({ extras }) => extras.wides),
      noball_runs: sum(({ extras }) => extras.noballs),
    };
    expect(totals).toEqual(expected?.players.totals_without_super_overs);
    expect(oversText(totals.legal_balls, 6)).toBe('2716.3');
  });

  test('Elo of all Tests, to the last billionth', async () => {
    const { result } = await fleet.run('ranking-update', { format: 'test', method: 'elo' });
    expect(result).toMatchObject({ rows: 11, changed: 11 });
    const { replay } = eloSchema.parse(await json(join(data, 'domain-examples.json'))).ranking_elo;
    const { rows } = z
      .object({
        rows: z.array(
          z.looseObject({ team: z.string(), rating: z.number(), exact: z.object({ nanoRating: z.int() }) }),
        ),
      })
      .parse(await read('/v1/rankings?format=test&method=elo'));
    expect(Object.fromEntries(rows.map(({ team, rating }) => [team, rating]))).toEqual(replay.ratings);
    expect(rows.map(({ team }) => team)).toEqual(Object.keys(replay.ratings));
    const sum = rows.reduce((all, { exact }) => all + BigInt(exact.nanoRating), 0n);
    expect(sum).toBe(BigInt(replay.sum_of_ratings) * 1_000_000_000n);
    const again = await fleet.run('ranking-update', { format: 'test', method: 'elo' });
    expect(again.result).toMatchObject({ rows: 11, changed: 0 });
  });

  test('filters of a ranking', async () => {
    await fleet.run('ranking-update', { format: 'test', asOf: '2020-06-30' });
    const { rows } = z
      .object({ rows: z.array(z.looseObject({ team: z.string(), region: z.string(), position: z.number() })) })
      .parse(await read('/v1/rankings?format=test&asOf=2020-06-30&region=asia&limit=3'));
    expect(rows).toHaveLength(3);
    expect(rows.every(({ region }) => region === 'asia')).toBe(true);
    expect(rows.map(({ position }) => position)).toEqual(
      rows.map(({ position }) => position).toSorted((a, b) => a - b),
    );
    expect((await fleet.get('/v1/rankings?format=test&category=women')).status).toBe(404);
  });

  test('the season taken in twice changes nothing', async () => {
    const versions = async () =>
      (await fleet.documents.page('matches', { limit: 1_000 })).items.map(({ _id, _version }) => `${_id} ${_version}`);
    const before = {
      versions: await versions(),
      points: await read('/v1/points-tables?season=2024'),
      jobs: await fleet.settled(types),
    };
    expect(await ingest('ipl-2024.zip', await readFile(join(folder, 'ipl-2024.zip')))).toEqual({
      added: 0,
      replaced: 0,
      ignored: 71,
    });
    const jobs = await fleet.settled(types);
    // The intake itself, and nothing that follows.
    expect(jobs).toEqual({ completed: before.jobs.completed + 1, failed: 0 });
    expect(await versions()).toEqual(before.versions);
    expect(await read('/v1/points-tables?season=2024')).toEqual(before.points);
  });
});
