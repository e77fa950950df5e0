import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { Handler } from '../jobs/define.ts';
import matchAggregation from '../jobs/match-aggregation/handler.ts';
import rankingUpdate from '../jobs/ranking-update/handler.ts';
import statsCalculation from '../jobs/stats-calculation/handler.ts';
import { mergeCollections } from '../runtime/documents.ts';
import { memoryDocuments } from '../runtime/documents-memory.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { cricsheet, international, singles } from '../tests/support/cricket.ts';
import { makeZip } from '../tests/support/zip.ts';
import { runJob } from '../workers/testing.ts';

const handlers = [matchAggregation, rankingUpdate, statsCalculation];
const documents = memoryDocuments(mergeCollections(handlers.map(({ job }) => job.collections)));
let api: TestApi;
let tenant: string;

/** Runs a job of the key's tenant, or of another one. */
async function run(
  handler: Handler,
  payload: object,
  more: { inputs?: Record<string, Uint8Array>; tenant?: string } = {},
) {
  const env = handler === rankingUpdate ? { RANKING_MIN_MATCHES: '1' } : {};
  await using done = await runJob(handler, payload, { tenant, documents, env, ...more });
  if (done.error !== undefined) throw done.error;
  return done.result;
}

async function ingest(files: Record<string, object>, of = tenant): Promise<void> {
  const zip = makeZip(Object.entries(files).map(([name, file]) => ({ name, bytes: JSON.stringify(file) })));
  await run(matchAggregation, { source: `object:t/${of}/m.zip` }, { inputs: { 'm.zip': zip }, tenant: of });
}

const league = (one: string, other: string, day: number) =>
  cricsheet({
    date: `2024-04-0${day}`,
    teams: [one, other],
    outcome: { winner: one },
    innings: [
      { team: one, overs: [singles(0, 'A', 2)] },
      { team: other, overs: [singles(0, 'B', 1)] },
    ],
  });
const test1 = international('Test', { date: '2026-01-05', teams: ['India', 'England'], winner: 'India' });
const test2 = international('Test', { date: '2026-02-05', teams: ['Pakistan', 'England'], winner: 'England' });

beforeAll(async () => {
  api = await openTestApi({ documents });
  const slot = await api.call('POST', '/v1/uploads', { filename: 'x', contentType: 'text/plain', sizeBytes: 1 });
  tenant = /^object:t\/([^/]+)\//.exec(String(slot.json['object']))?.[1] ?? '';
  await ingest({
    '1.json': league('Alpha', 'Beta', 1),
    '2.json': league('Beta', 'Gamma', 2),
    '3.json': test1,
    '4.json': test2,
  });
  await run(statsCalculation, { kind: 'points-table', season: '2024' });
  await run(statsCalculation, { kind: 'players', season: '2024' });
  await run(rankingUpdate, { format: 'test' });
});
afterAll(async () => {
  await api.close();
  await documents.close();
});

const rowsOf = (answer: { json: Record<string, unknown> }) =>
  z.array(z.record(z.string(), z.unknown())).parse(answer.json['rows']);

test('a ranking comes best first, by category and region, with its source', async () => {
  const all = await api.call('GET', '/v1/rankings?format=test');
  expect(all.status).toBe(200);
  expect(all.json).toMatchObject({ table: 'test/male/icc', attribution: expect.stringContaining('Cricsheet') });
  expect(rowsOf(all).map(({ team }) => team)).toEqual(['India', 'England', 'Pakistan']);
  expect(Object.keys(rowsOf(all)[0] ?? {})).not.toContain('_id');
  const asia = rowsOf(await api.call('GET', '/v1/rankings?format=test&region=asia'));
  expect(asia.map(({ team, position }) => [team, position])).toEqual([
    ['India', 1],
    ['Pakistan', 3],
  ]);
  expect(rowsOf(await api.call('GET', '/v1/rankings?format=test&limit=1'))).toHaveLength(1);
  expect((await api.call('GET', '/v1/rankings?format=odi')).status).toBe(404);
  expect((await api.call('GET', '/v1/rankings?format=test&category=women')).status).toBe(404);
  for (const query of [
    '',
    'format=test&limit=101',
    'format=test&region=moon',
    'format=t10',
    'format=test&page=2',
    'format=test&asOf=today',
  ])
    expect((await api.call('GET', `/v1/rankings?${query}`)).status, query).toBe(400);
});

test('tables of a season come with their rows, and nothing where nothing was computed', async () => {
  const answer = await api.call('GET', '/v1/points-tables?season=2024');
  expect(answer.json).toMatchObject({
    tables: [
      {
        table: 'points-table/2024/test-league/male/t20',
        competition: 'Test League',
        complete: false,
        rows: [
          { position: 1, team: 'Alpha', points: 2 },
          { position: 2, team: 'Beta', points: 2 },
          { position: 3, team: 'Gamma', points: 0 },
        ],
      },
    ],
  });
  expect((await api.call('GET', '/v1/points-tables?season=2024&competition=TEST%20league')).json).toEqual(answer.json);
  expect((await api.call('GET', '/v1/points-tables?season=2024&gender=female')).json).toMatchObject({ tables: [] });
  expect((await api.call('GET', '/v1/points-tables?season=1999')).json).toMatchObject({ tables: [] });
  const players = await api.call('GET', '/v1/player-statistics?season=2024&order=wickets&limit=2');
  expect(players.json).toMatchObject({ tables: [{ rows: [{}, {}] }] });
  expect((await api.call('GET', '/v1/points-tables?season=2024&order=runs')).status).toBe(400);
});

test('what is cached is dropped by the job that publishes', async () => {
  const read = async () => rowsOf(await api.call('GET', '/v1/rankings?format=test')).map(({ team }) => team);
  await read();
  const cached = () => documents.of(tenant).page('cache', { filter: { _id: { gte: 'rankings:', lt: 'rankings;' } } });
  expect((await cached()).items.length).toBeGreaterThan(0);
  await ingest({
    '5.json': international('Test', { date: '2026-03-05', teams: ['Australia', 'India'], winner: 'Australia' }),
  });
  expect(await read()).not.toContain('Australia');
  await run(rankingUpdate, { format: 'test' });
  expect((await cached()).items).toEqual([]);
  expect(await read()).toContain('Australia');
});

test('another tenant sees its own tables only', async () => {
  await ingest({ '9.json': league('Delta', 'Beta', 3), '10.json': league('Gamma', 'Delta', 4) }, 'other');
  await run(statsCalculation, { kind: 'points-table', season: '2024' }, { tenant: 'other' });
  const { json } = await api.call('GET', '/v1/points-tables?season=2024&limit=50');
  expect(JSON.stringify(json)).not.toContain('Delta');
});

test('without a store of documents the routes say what is missing, and without a key they say nothing', async () => {
  const bare = await openTestApi();
  for (const path of [
    '/v1/rankings?format=test',
    '/v1/points-tables?season=2024',
    '/v1/player-statistics?season=2024',
  ]) {
    expect((await bare.call('GET', path)).json, path).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
    expect((await fetch(api.url + path)).status, path).toBe(401);
  }
  await bare.close();
});
