import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { international } from '../../tests/support/cricket.ts';
import { type Desk, openDesk } from '../../tests/support/cricket-desk.ts';
import { publish, type Table } from '../cricket/publish.ts';
import type { JobDocuments } from '../ports.ts';

let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
});
afterEach(() => desk.close());

const match = (format: 'ODI' | 'T20' | 'Test', date: string, winner: string | null, more: { gender?: string } = {}) =>
  JSON.stringify(international(format, { date, teams: ['India', 'England'], winner, ...more }));
const months = Array.from({ length: 12 }, (_, at) => `2025-${String(at + 1).padStart(2, '0')}-10`);
const season = Object.fromEntries(
  months.map((date, at) => [`${10 + at}.json`, match('ODI', date, at % 3 === 0 ? 'England' : 'India')]),
);

const sinceOf = (run: { logs: readonly string[] }) =>
  run.logs.flatMap((line) => /"since":"([^"]+)"/.exec(line)?.[1] ?? []);

describe('a ranking', () => {
  it('is computed again from the month before what changed', async () => {
    await desk.ingest(season);
    expect(sinceOf(await desk.run('ranking-update', { format: 'odi' }))).toEqual(['the first match']);
    const quiet = await desk.run('ranking-update', { format: 'odi' });
    expect(sinceOf(quiet)).toEqual(['2025-12-31']);
    expect(quiet.result).toMatchObject({ rows: 2, changed: 0 });
    await desk.ingest({ '5.json': match('ODI', '2025-08-20', 'England') });
    const late = await desk.run('ranking-update', { format: 'odi' });
    expect(sinceOf(late)).toEqual(['2025-07-31']);
    expect(late.result).toMatchObject({ rows: 2, changed: 2 });
    // A corrected day: from the earlier of both.
    const moved = JSON.parse(match('ODI', '2025-11-20', 'England')) as { meta: { revision: number } };
    moved.meta.revision = 2;
    await desk.ingest({ '5.json': JSON.stringify(moved) });
    expect(sinceOf(await desk.run('ranking-update', { format: 'odi' }))).toEqual(['2025-07-31']);
    const kept = (await desk.documents.page('ranking_checkpoints', { limit: 1_000 })).items;
    const head = await desk.documents.get('ranking_tables', 'odi/male/icc');
    const named = head?.['checkpoints'] as { day: string; label: string }[];
    expect(kept.map(({ _id }) => _id).toSorted()).toEqual(
      named.map(({ day, label }) => `odi/male/icc/${label}/${day}`).toSorted(),
    );
  });

  it('of an earlier day stands beside the current one', async () => {
    await desk.ingest(season);
    await desk.run('ranking-update', { format: 'odi' });
    const { result } = await desk.run('ranking-update', { format: 'odi', asOf: '2025-03-31' });
    expect(result).toMatchObject({ asOf: '2025-03-31', tables: ['odi/male/icc@2025-03-31'] });
    const tables = await desk.tables('ranking_tables', 'rankings');
    expect(tables['odi/male/icc@2025-03-31']).toMatchObject([{ matches: 3 }, { matches: 3 }]);
    expect(tables['odi/male/icc']).toMatchObject([{ matches: 12 }, { matches: 12 }]);
  });

  it('changes on 1 May without any play, forward alone', async () => {
    await desk.ingest({ '1.json': match('T20', '2024-04-30', 'India'), '2.json': match('T20', '2024-05-01', 'India') });
    const weight = async (asOf: string) => {
      await desk.run('ranking-update', { format: 't20i', asOf });
      const tables = await desk.tables('ranking_tables', 'rankings');
      const [row] = tables[`t20i/male/icc@${asOf}`] as { exact: { halfMatches: number } }[];
      return row?.exact.halfMatches;
    };
    expect([await weight('2025-04-30'), await weight('2025-05-01'), await weight('2026-05-01')]).toEqual([4, 3, 2]);
  });

  it('is one for men and one for women', async () => {
    await desk.ingest({
      '1.json': match('T20', '2026-01-01', 'India'),
      '2.json': match('T20', '2026-01-02', 'England', { gender: 'female' }),
    });
    expect((await desk.run('ranking-update', { format: 't20i' })).result).toMatchObject({
      rows: 4,
      tables: ['t20i/male/icc', 't20i/female/icc'],
    });
    const tables = await desk.tables('ranking_tables', 'rankings');
    expect(tables['t20i/female/icc']).toMatchObject([
      { team: 'England', category: 'women', region: 'europe' },
      { team: 'India', region: 'asia' },
    ]);
  });

  it('without a format, as the schedule asks, is one job for each', async () => {
    const { result, enqueued } = await desk.run('ranking-update', {});
    expect(result).toMatchObject({ rows: 0, tables: [] });
    expect(enqueued.map(({ payload }) => payload)).toEqual(
      ['odi', 't20i', 'test'].map((format) => ({ format, method: 'icc' })),
    );
  });
});

describe('a table', () => {
  const table = (inputs: number, label: string, points: readonly number[]): Table => ({
    id: 't',
    heads: 'ranking_tables',
    rowsIn: 'rankings',
    inputs,
    asOf: '',
    label,
    facts: {},
    rows: points.map((rating) => ({ teamId: `${rating}`, rating })),
  });
  const store = (): JobDocuments => ({
    ...desk.documents,
    stream: async function* (collection, query) {
      yield* (await desk.documents.page(collection, { ...query, limit: 1_000 })).items;
    },
  });
  const shown = async () =>
    (await desk.tables('ranking_tables', 'rankings'))['t']?.map((row) => (row as { rating: number }).rating);

  it('made from older inputs never replaces a newer one, and leaves no row', async () => {
    expect(await publish(store(), table(2, 'new', [1, 2]))).toBe(true);
    expect(await publish(store(), table(1, 'old', [9]))).toBe(false);
    expect(await shown()).toEqual([1, 2]);
    expect((await desk.documents.page('rankings', {})).items).toHaveLength(2);
  });

  it('of rows nobody finished is swept by the next one', async () => {
    await desk.documents.putMany('rankings', [
      { _id: 't/dead/000001', table: 't', label: 'dead', inputs: 1, rating: 7 },
    ]);
    await publish(store(), table(2, 'new', [1]));
    expect((await desk.documents.page('rankings', {})).items.map(({ _id }) => _id)).toEqual(['t/new/000001']);
  });

  it('with the same rows keeps them and takes the newer inputs', async () => {
    await publish(store(), table(1, 'a', [1, 2]));
    await publish(store(), table(2, 'b', [1, 2]));
    expect(await desk.documents.get('ranking_tables', 't')).toMatchObject({ label: 'a', inputs: 2 });
    await publish(store(), table(3, 'c', [2]));
    expect(await shown()).toEqual([2]);
    expect((await desk.documents.page('rankings', {})).items).toHaveLength(1);
  });
});
