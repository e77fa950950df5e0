import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cricsheet, international, type MatchFacts } from '../../tests/support/cricket.ts';
import { type Desk, openDesk } from '../../tests/support/cricket-desk.ts';
import { makeZip, type ZipEntry } from '../../tests/support/zip.ts';
import { type JobRun, runJob } from '../../workers/testing.ts';
import handler from './handler.ts';
import job from './job.ts';

const matchCounts = job.result;
const file = (facts: MatchFacts = {}): string => JSON.stringify(cricsheet(facts));
const entry = (name: string, bytes: Uint8Array | string = file()): ZipEntry => ({ name, bytes });

const run = (name: string, bytes: Uint8Array): Promise<JobRun> =>
  runJob(handler, { source: `object:t/-/uploads/${name}` }, { inputs: { [`uploads/${name}`]: bytes } });

async function outcomeOf(
  name: string,
  bytes: Uint8Array,
): Promise<{ code: unknown; reason: string; documents: number }> {
  await using done = await run(name, bytes);
  const kept = await done.documents.page('matches', {});
  const intakes = await done.documents.page('match_intakes', {});
  const { outcome } = done;
  return {
    code: 'code' in outcome ? `${outcome.state} ${outcome.code}` : outcome.state,
    reason: done.error?.message ?? '',
    documents: kept.items.length + intakes.items.length,
  };
}

describe('a source', () => {
  it('is a match named by its id, or a zip of them wherever they lie in it', async () => {
    await using one = await run('335982.json', Buffer.from(file()));
    expect(one.result).toEqual({ added: 1, replaced: 0, ignored: 0 });
    const zip = makeZip([
      entry('README.txt', 'read me'),
      { ...entry('season/', ''), mode: 0o040755, method: 0 },
      entry('season/1.json'),
      entry('season/wi_2.JSON'),
      entry('__MACOSX/season/._1.json', 'not JSON'),
    ]);
    await using many = await run('anything.bin', zip);
    expect(many.result).toEqual({ added: 2, replaced: 0, ignored: 0 });
    const kept = await many.documents.page('matches', {});
    expect(kept.items).toMatchObject([
      { _id: '1', source: { entry: 'season/1.json' } },
      { _id: 'wi_2', source: { entry: 'season/wi_2.JSON' } },
    ]);
  });

  it('is kept whole under the hash of its bytes', async () => {
    await using done = await run('1.json', Buffer.from(file()));
    const [match] = (await done.documents.page('matches', {})).items;
    expect(match).toMatchObject({
      source: { object: expect.stringMatching(/^object:t\/-\/cricket\/[0-9a-f]{64}\.json$/) },
    });
    const object = (match as unknown as { source: { object: string } }).source.object.slice('object:'.length);
    expect(await done.objects.head(object)).toMatchObject({ contentType: 'application/json' });
  });

  it('with several files of one match counts the newest', async () => {
    const files = [3, 1, 2].map((revision) => entry(`${revision}/7.json`, file({ meta: { revision } })));
    await using done = await run('x.zip', makeZip(files));
    expect(done.result).toEqual({ added: 1, replaced: 0, ignored: 0 });
    expect((await done.documents.page('matches', {})).items).toMatchObject([{ _id: '7', revision: 3 }]);
  });

  const over = Buffer.from(file({ info: { notes: 'n'.repeat(5 * 2 ** 20) } }));
  it.each<[string, string, Uint8Array, string, RegExp]>([
    ['without an id in its name', 'match.json', Buffer.from(file()), 'dead BAD_SOURCE', /named by its match id/],
    ['that is no JSON', '1.json', Buffer.from('<html>'), 'dead BAD_SOURCE', /expected JSON/],
    ['that is not UTF-8', '1.json', Buffer.from([0x7b, 0xff, 0x7d]), 'dead BAD_SOURCE', /UTF-8/],
    ['that is another JSON', '1.json', Buffer.from('{"meta":{}}'), 'dead BAD_SOURCE', /not a Cricsheet file/],
    ['of a match too large', '1.json', over, 'dead LIMIT_EXCEEDED', /at most 4194304 bytes/],
    ['that is an empty zip', 'x.zip', makeZip([]), 'dead BAD_SOURCE', /holds no .json/],
    ['that is a zip of other things', 'x.zip', makeZip([entry('a.txt', 'x')]), 'dead BAD_SOURCE', /holds no .json/],
    ['cut in the middle', 'x.zip', makeZip([entry('1.json')]).subarray(0, -40), 'dead BAD_SOURCE', /readable zip/],
    [
      'with a link',
      'x.zip',
      makeZip([{ ...entry('1.json', '/etc/passwd'), mode: 0o120777 }]),
      'dead BAD_SOURCE',
      /is a link/,
    ],
    ['with a password', 'x.zip', makeZip([{ ...entry('1.json'), flags: 1 }]), 'dead BAD_SOURCE', /encrypted/],
    ['that climbs out', 'x.zip', makeZip([entry('../../1.json')]), 'dead BAD_SOURCE', /readable zip/],
    ['with an absolute name', 'x.zip', makeZip([entry('/1.json')]), 'dead BAD_SOURCE', /readable zip/],
    [
      'with a wrong checksum',
      'x.zip',
      makeZip([{ ...entry('1.json'), declared: { crc: 1 } }]),
      'dead BAD_SOURCE',
      /is damaged/,
    ],
    [
      'that says it is small',
      'x.zip',
      makeZip([{ ...entry('1.json'), declared: { size: 10 } }]),
      'dead BAD_SOURCE',
      /readable zip/,
    ],
    [
      'with an unknown compression',
      'x.zip',
      makeZip([{ ...entry('1.json'), method: 99 }]),
      'dead BAD_SOURCE',
      /readable zip/,
    ],
    [
      'that is a bomb',
      'x.zip',
      makeZip([entry('1.json', Buffer.alloc(3 * 2 ** 20, 0x20))]),
      'dead LIMIT_EXCEEDED',
      /at most 100 times/,
    ],
    [
      'with one bad match among good ones',
      'x.zip',
      makeZip([entry('1.json'), entry('2.json', '{}')]),
      'dead BAD_SOURCE',
      /Match 2/,
    ],
  ])('%s', async (_, name, bytes, code, reason) => {
    const got = await outcomeOf(name, bytes);
    expect([got.code, got.reason]).toEqual([code, expect.stringMatching(reason)]);
    expect(got.documents).toBe(0);
  });

  it('of more entries or matches than one job reads is refused', async () => {
    const many = makeZip(Array.from({ length: 10_001 }, (_, at) => entry(`${at}.txt`, '')));
    expect(await outcomeOf('x.zip', many)).toMatchObject({ code: 'dead LIMIT_EXCEEDED', documents: 0 });
  });
});

describe('revisions', () => {
  let desk: Desk;
  beforeAll(async () => {
    desk = await openDesk();
  });
  afterAll(() => desk.close());
  const at = (revision: number, created = '2024-04-01', venue = 'Somewhere') => ({
    '5.json': file({ meta: { revision, created }, info: { venue } }),
  });

  it('replace older ones, ignore what is not newer, and say so', async () => {
    expect(await desk.ingest(at(2))).toEqual({ added: 1, replaced: 0, ignored: 0 });
    expect(await desk.follow()).toEqual(['stats-calculation', 'stats-calculation']);
    expect(await desk.ingest(at(2))).toEqual({ added: 0, replaced: 0, ignored: 1 });
    expect(await desk.ingest(at(1))).toEqual({ added: 0, replaced: 0, ignored: 1 });
    expect(await desk.follow()).toEqual([]);
    expect(await desk.ingest(at(3))).toEqual({ added: 0, replaced: 1, ignored: 0 });
    expect(await desk.ingest(at(3, '2024-05-01'))).toEqual({ added: 0, replaced: 1, ignored: 0 });
    expect(await desk.ingest(at(3, '2024-04-15'))).toEqual({ added: 0, replaced: 0, ignored: 1 });
    expect(await desk.documents.get('matches', '5')).toMatchObject({ revision: 3, created: '2024-05-01', _version: 3 });
  });

  it('of equal number and day end with the same file in either order', async () => {
    const [one, other] = [at(9, '2024-06-01', 'Here'), at(9, '2024-06-01', 'There')];
    const swapped = await openDesk();
    for (const files of [one, other]) await desk.ingest(files);
    for (const files of [other, one]) await swapped.ingest(files);
    const venues = [await desk.documents.get('matches', '5'), await swapped.documents.get('matches', '5')];
    expect(venues[0]?.['venue']).toBe(venues[1]?.['venue']);
    await swapped.close();
  });
});

describe('what follows', () => {
  it('is enqueued once a job, whichever write it dies at, and the counts are those of the whole job', async () => {
    const files = {
      '1.json': JSON.stringify(
        international('Test', { date: '2024-01-05', teams: ['India', 'England'], winner: 'India' }),
      ),
      '2.json': JSON.stringify(
        international('T20', { date: '2024-01-06', teams: ['India', 'England'], winner: null, gender: 'female' }),
      ),
      '3.json': file({ season: '2023/24' }),
    };
    for (let dieAt = 1; dieAt <= 10; dieAt += 1) {
      const desk = await openDesk();
      expect(await desk.ingest(files, dieAt), `dies at write ${dieAt}`).toEqual({ added: 3, replaced: 0, ignored: 0 });
      const types = await desk.follow();
      expect(types.toSorted(), `dies at write ${dieAt}`).toEqual([
        ...Array.from({ length: 2 }, () => 'ranking-update'),
        ...Array.from({ length: 4 }, () => 'stats-calculation'),
      ]);
      expect((await desk.documents.page('match_intakes', {})).items).toEqual([]);
      await desk.close();
    }
  });

  it('is taken up by another job over the same bytes when the first one never came back', async () => {
    for (let dieAt = 2; dieAt <= 5; dieAt += 1) {
      const desk = await openDesk();
      const files = { '1.json': file() };
      await desk.lose(files, dieAt);
      const before = await desk.follow();
      const { ignored } = matchCounts.parse(await desk.ingest(files));
      // A file that was written before the death is not new any more, and is followed up all the same.
      const after = await desk.follow();
      expect([...before, ...after].length, `died at write ${dieAt}, ignored ${ignored}`).toBeGreaterThanOrEqual(2);
      expect(Object.keys(await desk.tables('stats_tables', 'player_statistics')), `${dieAt}`).toHaveLength(1);
      expect((await desk.documents.page('match_intakes', {})).items).toEqual([]);
      await desk.close();
    }
  });
});
