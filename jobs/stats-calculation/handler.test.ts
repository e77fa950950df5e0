import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cricsheet, singles } from '../../tests/support/cricket.ts';
import { type Desk, openDesk } from '../../tests/support/cricket-desk.ts';

let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
});
afterEach(() => desk.close());

const file = (
  one: string,
  other: string,
  day: number,
  more: { season?: string; revision?: number; info?: object } = {},
) =>
  JSON.stringify(
    cricsheet({
      date: `2024-04-0${day}`,
      season: more.season ?? '2024',
      teams: [one, other],
      outcome: { winner: one },
      meta: { revision: more.revision ?? 1 },
      info: { ...more.info },
      innings: [
        { team: one, overs: [singles(0, 'A', 2)] },
        { team: other, overs: [singles(0, 'B', 1)] },
      ],
    }),
  );
const matches = {
  '1.json': file('Alpha', 'Beta', 1),
  '2.json': file('Beta', 'Gamma', 2),
  '3.json': file('Gamma', 'Alpha', 3),
};
const points = async () => desk.tables('stats_tables', 'points_table_rows');
const id = 'points-table/2024/test-league/male/t20';

describe('a points table', () => {
  it('keeps the fixtures it was given for the tables that follow by themselves', async () => {
    await desk.ingest(matches);
    await desk.follow();
    const known = [
      { date: '2024-04-01', teams: ['Alpha', 'Beta'] },
      { date: '2024-04-02', teams: ['Gamma', 'Beta'] },
      { date: '2024-04-02', teams: ['Alpha', 'Gamma'], abandoned: true },
      { date: '2024-04-03', teams: ['Alpha', 'Gamma'] },
      { date: '2024-04-04', teams: ['Alpha', 'Beta'] },
    ];
    const given = await desk.run('stats-calculation', { kind: 'points-table', season: '2024', fixtures: known });
    expect(given.result).toEqual({ rows: 3, complete: true, tables: [id] });
    await desk.ingest({ '4.json': file('Beta', 'Alpha', 4) });
    await desk.follow();
    expect(await desk.documents.get('stats_tables', id)).toMatchObject({ complete: true, matches: 4 });
    expect((await points())[id]).toMatchObject([
      { team: 'Beta', points: 4 },
      { team: 'Gamma', points: 3, played: 3, noResult: 1 },
      { team: 'Alpha', points: 3, played: 4, noResult: 1 },
    ]);
  });

  it('is not given back to older fixtures by a job that comes late', async () => {
    await desk.ingest(matches);
    const fixtures = (abandoned: boolean) => [{ date: '2024-04-02', teams: ['Alpha', 'Gamma'], abandoned }];
    await desk.run('stats-calculation', { kind: 'points-table', season: '2024', fixtures: fixtures(true) });
    const kept = await desk.documents.get('season_fixtures', '2024');
    // As if a job with a greater id had run before.
    await desk.documents.put('season_fixtures', {
      _id: '2024',
      job: 'stats-calculation_9',
      fixtures: kept?.['fixtures'],
    });
    await desk.run('stats-calculation', { kind: 'points-table', season: '2024', fixtures: fixtures(false) });
    expect((await desk.documents.get('season_fixtures', '2024'))?.['job']).toBe('stats-calculation_9');
  });

  it('is emptied when a correction moves its matches to another season', async () => {
    await desk.ingest(matches);
    await desk.follow();
    const moved = Object.entries({ 1: ['Alpha', 'Beta'], 2: ['Beta', 'Gamma'], 3: ['Gamma', 'Alpha'] });
    await desk.ingest(
      Object.fromEntries(
        moved.map(([at, [one = '', other = '']]) => [
          `${at}.json`,
          file(one, other, Number(at), { season: '2023/24', revision: 2 }),
        ]),
      ),
    );
    await desk.follow();
    expect(await desk.documents.get('stats_tables', id)).toMatchObject({ rows: 0, complete: false });
    expect((await points())['points-table/2023-24/test-league/male/t20']).toHaveLength(3);
  });

  it('is one for each group and stage; knock-out rounds give none, nor do two sides alone', async () => {
    const event = (more: object) => ({ info: { event: { name: 'Cup', ...more } } });
    const sides = ['Alpha', 'Beta', 'Gamma'];
    const files = ['A', 'B'].flatMap((group, at) =>
      sides.map((side, index) => [
        `${10 * at + index + 1}.json`,
        file(`${side} ${group}`, `${sides[(index + 1) % 3]} ${group}`, 1 + index, event({ group })),
      ]),
    );
    await desk.ingest({
      ...Object.fromEntries(files),
      '99.json': file('Alpha A', 'Beta B', 9, event({ stage: 'Final' })),
      '98.json': file('Alpha', 'Beta', 9, { info: { event: { name: 'Alpha tour of Beta' } } }),
    });
    const { result } = await desk.run('stats-calculation', { kind: 'points-table', season: '2024' });
    expect(result).toMatchObject({
      rows: 6,
      tables: ['points-table/2024/cup/male/t20/a', 'points-table/2024/cup/male/t20/b'],
    });
    expect(Object.values(await points()).flat()).toHaveLength(6);
    const players = await desk.run('stats-calculation', { kind: 'players', season: '2024' });
    expect(players.result).toMatchObject({
      tables: ['players/2024/cup/male/t20', 'players/2024/alpha-tour-of-beta/male/t20'],
    });
  });

  it('of chosen matches is one table, whatever they belong to', async () => {
    await desk.ingest(matches);
    const run = (matchIds: string[]) => desk.run('stats-calculation', { kind: 'points-table', matchIds });
    const { result } = await run(['1', '2', '1']);
    expect(result).toMatchObject({ rows: 3, complete: false });
    expect((await run(['2', '1'])).result).toEqual(result);
    const unknown = await run(['1', '77']);
    expect(unknown.outcome).toEqual({ state: 'dead', code: 'BAD_SOURCE' });
  });
});
