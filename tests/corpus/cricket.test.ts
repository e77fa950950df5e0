/** The bad input of match-aggregation, stats-calculation and ranking-update: its class, its time, and nothing left behind. */
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import matchAggregation from '../../jobs/match-aggregation/handler.ts';
import rankingUpdate from '../../jobs/ranking-update/handler.ts';
import statsCalculation from '../../jobs/stats-calculation/handler.ts';
import type { JobRun } from '../../workers/testing.ts';
import { runJob } from '../../workers/testing.ts';
import { cricsheet } from '../support/cricket.ts';
import { openDesk } from '../support/cricket-desk.ts';
import { boundCorpus, corpora } from './bounds.ts';
import { fileCases, payloadCases } from './cricket.ts';

boundCorpus('matches');

const seed = 20_241_121;
const files = fileCases(seed);
const payloads = payloadCases();
/** The most any of them takes on a machine with other things to do. */
const limitMs = 5_000;

function classOf({ outcome }: JobRun): string {
  if (outcome.state === 'done') return 'done';
  return outcome.state === 'dead' ? outcome.code : `${outcome.state}: no case may be tried again`;
}

const collections = [
  'matches',
  'match_changes',
  'match_intakes',
  'stats_tables',
  'points_table_rows',
  'player_statistics',
  'ranking_tables',
  'rankings',
  'ranking_checkpoints',
];

async function kept(run: JobRun): Promise<number> {
  let count = 0;
  for (const name of collections)
    if (Object.hasOwn(declared, name)) count += (await run.documents.page(name, {})).items.length;
  return count;
}
let declared: object = {};

it(`has ${files.length + payloads.length} cases`, () => {
  expect(files.length + payloads.length).toBeGreaterThanOrEqual(corpora.matches.cases);
  const print = (all: typeof files) =>
    all.map(({ name, bytes }) => `${name} ${createHash('sha256').update(bytes).digest('hex')}`);
  expect(print(fileCases(seed))).toEqual(print(files));
});

it.each(files)('match-aggregation: $name', async ({ file, bytes, classes }) => {
  const from = performance.now();
  declared = matchAggregation.job.collections ?? {};
  await using run = await runJob(matchAggregation, { source: `object:t/-/${file}` }, { inputs: { [file]: bytes } });
  expect(classes, run.error?.message ?? '').toContain(classOf(run));
  expect(performance.now() - from).toBeLessThan(limitMs);
  const objects = [];
  for await (const { key } of run.objects.list('t/-/cricket/')) objects.push(key);
  const isDone = run.outcome.state === 'done';
  expect([(await kept(run)) > 0, objects.length > 0, run.enqueued.length > 0]).toEqual([isDone, isDone, isDone]);
});

it.each(payloads)('$type: $name', async ({ type, payload, classes }) => {
  const from = performance.now();
  const handler = type === 'stats-calculation' ? statsCalculation : rankingUpdate;
  declared = handler.job.collections ?? {};
  await using run = await runJob(handler, payload);
  expect(classes, run.error?.message ?? '').toContain(classOf(run));
  expect(performance.now() - from).toBeLessThan(limitMs);
  expect(await run.documents.page(type === 'stats-calculation' ? 'stats_tables' : 'ranking_tables', {})).toEqual({
    items: [],
  });
});

it('leaves no folder behind', async () => {
  const own = (await readdir(tmpdir())).filter((name) => name.startsWith('jobfleet-test-'));
  await using run = await runJob(
    matchAggregation,
    { source: 'object:t/-/1.json' },
    { inputs: { '1.json': Buffer.from('{') } },
  );
  expect(run.outcome.state).toBe('dead');
  await run.close();
  const after = (await readdir(tmpdir())).filter((name) => name.startsWith('jobfleet-test-'));
  expect(after.filter((name) => !own.includes(name))).toEqual([]);
});

it('twenty revisions of one match at once leave the highest', async () => {
  const desk = await openDesk();
  const revisions = Array.from({ length: 20 }, (_, at) => ((at * 7) % 20) + 1);
  await Promise.all(
    revisions.map((revision) => desk.ingest({ '7.json': JSON.stringify(cricsheet({ meta: { revision } })) })),
  );
  expect(await desk.documents.get('matches', '7')).toMatchObject({ revision: 20 });
  expect((await desk.documents.page('match_intakes', {})).items).toEqual([]);
  await desk.follow();
  expect(Object.values(await desk.tables('stats_tables', 'player_statistics')).map((rows) => rows.length)).toEqual([
    22,
  ]);
  await desk.close();
});

it('matches across leap days and changes of the clock count on their day', async () => {
  const desk = await openDesk();
  const days = ['2024-02-29', '2024-03-31', '2024-10-27', '2024-12-31', '2025-01-01'];
  const named = days.map((date, at) => [`${at + 1}.json`, JSON.stringify(cricsheet({ date, dates: [date] }))]);
  expect(await desk.ingest(Object.fromEntries(named))).toMatchObject({ added: 5 });
  const { items } = await desk.documents.page('matches', { filter: { season: '2024' }, sort: [{ field: 'order' }] });
  expect(items.map(({ date }) => date)).toEqual(days);
  await desk.close();
});
