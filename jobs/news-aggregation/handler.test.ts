/** The handler over real HTTP: receivers on loopback that answer, refuse, hang, drip and lie. Long because all of it shares those receivers. */
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TenantDocuments } from '../../runtime/documents.ts';
import { memoryDocuments } from '../../runtime/documents-memory.ts';
import { answer, openReceiver, type Receiver, type Respond } from '../../tests/support/receivers.ts';
import { type RunJobOptions, runJob } from '../../workers/testing.ts';
import { memoryRecords } from '../../workers/testing-records.ts';
import type { Handler, JobContext } from '../define.ts';
import type { HttpRequest } from '../ports.ts';
import handler from './handler.ts';
import job from './job.ts';

let receiver: Receiver;
let documents: ReturnType<typeof memoryDocuments>;
let own: TenantDocuments;
beforeEach(async () => {
  receiver = await openReceiver(answer(404));
  documents = memoryDocuments(job.collections);
  own = documents.of('-');
});
afterEach(() => receiver.close());

const item = (more: string) => `<item>${more}</item>`;
const rss = (...items: readonly string[]) =>
  `<rss version="2.0"><channel><title>News</title><link>https://site.example/</link>${items.map(item).join('')}</channel></rss>`;
const one =
  '<title>One</title><guid>1</guid><link>https://site.example/1</link><pubDate>Thu, 09 Feb 2006 23:59:45 GMT</pubDate>';
const two = '<title>Two</title><guid>2</guid><link>https://site.example/2</link>';
const xml =
  (body: string | Buffer, headers: Record<string, string> = {}): Respond =>
  (response) =>
    response.writeHead(200, { 'content-type': 'text/xml; charset=utf-8', ...headers }).end(body);

const fetch = (payload: object = {}, options: RunJobOptions = {}) =>
  runJob(
    handler,
    { feedUrl: `${receiver.url}/feed`, ...payload },
    {
      http: { allow: [receiver.host] },
      documents,
      ...options,
    },
  );
const all = async (collection: string) => (await own.page(collection, {})).items;
const feed = async () => (await all('feeds'))[0];

/** The handler with other patience: what it asks for is recorded and shortened. */
function impatient(asked: HttpRequest[]): Handler {
  const hurried = (ctx: JobContext): JobContext =>
    new Proxy(ctx, {
      get: (target, name) =>
        name === 'http'
          ? (request: HttpRequest) => {
              asked.push(request);
              return target.http({ ...request, timeoutMs: 400, tries: 1 });
            }
          : Reflect.get(target, name, target),
    });
  return {
    ...handler,
    open: async (env) => {
      const opened = await handler.open(env);
      return { ...opened, run: (payload, ctx) => opened.run(payload, hurried(ctx)) };
    },
  };
}

describe('a feed', () => {
  test('is stored, and fetched again it stores nothing new', async () => {
    receiver.respond(xml(rss(one, two)));
    await using first = await fetch();
    expect(first.result).toEqual({ added: 2, updated: 0, unchanged: 0, problems: [] });
    const before = await all('news');
    expect(before).toMatchObject([
      { isLead: true, revision: 1 },
      { isLead: true, revision: 1 },
    ]);
    expect(before.find(({ title }) => title === 'One')).toMatchObject({
      url: 'https://site.example/1',
      date: '2006-02-09T23:59:45Z',
      published: '2006-02-09T23:59:45Z',
      dateQuality: 'exact',
    });
    const undated = before.find(({ title }) => title === 'Two');
    expect(undated).toMatchObject({ published: null, dateQuality: 'missing' });
    expect(undated?.['date']).toBe(undated?.['firstSeenAt']);
    await using second = await fetch();
    expect(second.result).toEqual({ added: 0, updated: 0, unchanged: 2, problems: [] });
    expect(await all('news')).toEqual(before);
  });

  test('is asked for with what its last answer said, and 304 is a success without change', async () => {
    receiver.respond(xml(rss(one), { etag: '"v1"', 'last-modified': 'Thu, 09 Feb 2006 23:59:45 GMT' }));
    await using first = await fetch();
    receiver.respond(answer(304));
    await using second = await fetch();
    await using third = await fetch();
    expect([first.outcome, second.outcome, third.outcome]).toEqual(
      Array.from({ length: 3 }, () => ({ state: 'done' })),
    );
    expect(third.result).toEqual({ added: 0, updated: 0, unchanged: 1, problems: [] });
    const sent = receiver.received.map(({ headers }) => [headers['if-none-match'], headers['if-modified-since']]);
    const validators = ['"v1"', 'Thu, 09 Feb 2006 23:59:45 GMT'];
    expect(sent).toEqual([[undefined, undefined], validators, validators]);
    expect(receiver.received[0]?.headers['accept']).toContain('application/rss+xml');
  });

  test('that changes an entry makes another revision of it; an older one is ignored', async () => {
    const atom = (updated: string, title: string) =>
      `<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><id>x</id><entry><id>1</id><title>${title}</title><updated>${updated}</updated></entry></feed>`;
    const counts: unknown[] = [];
    for (const [updated, title] of [
      ['2026-01-01T00:00:00Z', 'A'],
      ['2026-01-02T00:00:00Z', 'B'],
      ['2026-01-01T00:00:00Z', 'A'],
      ['2026-01-02T00:00:00Z', 'B'],
    ] as const) {
      receiver.respond(xml(atom(updated, title)));
      await using run = await fetch();
      counts.push(run.result);
    }
    const same = { added: 0, updated: 0, unchanged: 1, problems: [] };
    expect(counts).toEqual([{ ...same, added: 1, unchanged: 0 }, { ...same, updated: 1, unchanged: 0 }, same, same]);
    expect(await all('news')).toMatchObject([{ title: 'B', revision: 2, updated: '2026-01-02T00:00:00Z' }]);
  });

  test('that dies in between is completed by the next run, as if nothing had been', async () => {
    receiver.respond(xml(rss(one, two)));
    await using whole = await fetch();
    expect(whole.outcome.state).toBe('done');
    const expected = (await all('news')).map(({ _id, title, isLead, revision }) => ({ _id, title, isLead, revision }));
    // Two claims, the entries, the feed: each is once the first write that does not happen.
    for (const writes of [0, 1, 2, 3]) {
      const store = memoryDocuments(job.collections);
      await using cut = await fetch({}, { documents: dyingAfter(store, writes) });
      await using next = await fetch({}, { documents: store, attempt: 2 });
      expect([cut.outcome.state, next.outcome.state]).toEqual(['retry', 'done']);
      const stored = (await store.of('-').page('news', {})).items;
      expect(stored.map(({ _id, title, isLead, revision }) => ({ _id, title, isLead, revision }))).toEqual(expected);
    }
    await using complete = await fetch({}, { documents: dyingAfter(memoryDocuments(job.collections), 4) });
    expect(complete.outcome.state).toBe('done');
  });

  test('whose story another feed told first is stored, but not as the lead', async () => {
    receiver.respond((response, { path }, request) =>
      xml(rss(path === '/feed' ? one : one.replace('>1<', '>other<').replace('/1<', '/1?utm_source=b<')))(
        response,
        { path, method: '', headers: {}, body: Buffer.of() },
        request,
      ),
    );
    await using first = await fetch();
    await using second = await fetch({ feedUrl: `${receiver.url}/other` });
    expect([first.result, second.result]).toMatchObject([{ added: 1 }, { added: 1 }]);
    const stored = await all('news');
    expect(new Set(stored.map(({ story }) => story)).size).toBe(1);
    expect(stored.filter(({ isLead }) => isLead === true)).toMatchObject([{ guid: '1' }]);
    expect(stored).toHaveLength(2);
    // The copy stays one when its own feed changes it.
    receiver.respond(xml(rss(one.replace('>1<', '>other<').replace('One', 'Uno'))));
    await using third = await fetch({ feedUrl: `${receiver.url}/other` });
    expect(third.result).toMatchObject({ updated: 1 });
    expect((await all('news')).find(({ title }) => title === 'Uno')).toMatchObject({ isLead: false });
  });

  test('whose entries all link to one page keeps them all', async () => {
    receiver.respond(xml(rss(one, two.replace('/2<', '/1<'))));
    await using run = await fetch();
    expect(run.result).toMatchObject({ added: 2 });
    expect((await all('news')).map(({ isLead }) => isLead)).toEqual([true, true]);
  });

  test('says what could not be kept as it says it', async () => {
    receiver.respond(
      xml(
        rss(
          one,
          one.replace('One', 'Again'),
          `${two}<pubDate>Sat, 31 Jun 2006 00:00:00 Z</pubDate>`,
          '<title>Soon</title><guid>3</guid><pubDate>1 Jan 2999 00:00:00 Z</pubDate>',
        ),
      ),
    );
    await using run = await fetch();
    expect(run.result).toEqual({
      added: 3,
      updated: 0,
      unchanged: 0,
      problems: [
        'Items that repeat the identity of another: 1; one of each was kept.',
        'Dates that cannot be used: 2; the time of the first fetch stands for them.',
      ],
    });
    const qualities = (await all('news')).map(({ title, dateQuality, dateWritten }) => [
      title,
      dateQuality,
      dateWritten,
    ]);
    expect(qualities).toEqual(
      expect.arrayContaining([
        ['One', 'exact', 'Thu, 09 Feb 2006 23:59:45 GMT'],
        ['Two', 'impossible', 'Sat, 31 Jun 2006 00:00:00 Z'],
        ['Soon', 'future', '1 Jan 2999 00:00:00 Z'],
      ]),
    );
  });

  test('may be gzipped, in another encoding than its server says, and behind a redirect', async () => {
    const latin = Buffer.from(
      rss('<title>Simulações</title><guid>1</guid><link>x</link>').replace(
        '<rss',
        '<?xml version="1.0" encoding="iso-8859-1"?><rss',
      ),
      'latin1',
    );
    receiver.respond((response, { path }) =>
      path === '/feed'
        ? response.writeHead(301, { location: '/new/place' }).end()
        : response
            .writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'text/xml; charset=utf-8' })
            .end(gzipSync(latin)),
    );
    await using run = await fetch();
    expect(run.outcome).toEqual({ state: 'done' });
    expect(await all('news')).toMatchObject([{ title: 'Simulações', url: `${receiver.url}/new/x` }]);
  });
});

describe('a server', () => {
  const busy = (status: number, headers: Record<string, string>) => async () => {
    receiver.respond(answer(status, headers));
    return runJob(impatient([]), { feedUrl: `${receiver.url}/feed` }, { http: { allow: [receiver.host] }, documents });
  };
  test.each([
    ['429 with seconds', busy(429, { 'retry-after': '120' }), { state: 'later', code: 'HTTP_429', delayMs: 120_000 }],
    ['429 without a word', busy(429, {}), { state: 'later', code: 'HTTP_429', delayMs: 900_000 }],
    [
      '429 for a year',
      busy(429, { 'retry-after': '31536000' }),
      { state: 'later', code: 'HTTP_429', delayMs: 86_400_000 },
    ],
    ['503', busy(503, { 'retry-after': '60' }), { state: 'later', code: 'HTTP_503', delayMs: 60_000 }],
    ['500', busy(500, {}), { state: 'retry', code: 'HTTP_500' }],
    ['404', busy(404, {}), { state: 'dead', code: 'HTTP_404' }],
    ['403 and a page for robots', busy(403, { 'content-type': 'text/html' }), { state: 'dead', code: 'HTTP_403' }],
    ['401', busy(401, {}), { state: 'dead', code: 'HTTP_401' }],
  ])('that answers %s', async (_name, ask, outcome) => {
    await using run = await ask();
    expect(run.outcome).toMatchObject(outcome);
    expect(await all('news')).toEqual([]);
  });

  test('that failed is asked later each time, and a success forgets it', async () => {
    const times: number[] = [];
    for (let failures = 1; failures <= 3; failures += 1) {
      await using run = await fetch();
      expect(run.outcome).toMatchObject({ state: 'dead', code: 'HTTP_404' });
      const known = await feed();
      expect(known).toMatchObject({ failures, lastError: expect.stringMatching(/^HTTP_404: /) });
      times.push(Math.round((Date.parse(String(known?.['nextAt'])) - Date.now()) / 60_000));
    }
    expect(times).toEqual([30, 60, 120]);
    receiver.respond(xml(rss(one)));
    await using run = await fetch();
    expect(run.outcome.state).toBe('done');
    expect(await feed()).toMatchObject({ failures: 0, lastError: null });
  });

  test('that says 410 disables the feed; a fetch that works enables it again', async () => {
    receiver.respond(answer(410));
    await using gone = await fetch({ follow: true });
    expect(gone.outcome).toEqual({ state: 'done' });
    expect(gone.result).toMatchObject({ added: 0, problems: [expect.stringContaining('410')] });
    expect(await feed()).toMatchObject({ isFollowed: true, isDisabled: true });
    receiver.respond(xml(rss(one)));
    await using back = await fetch();
    expect(back.result).toMatchObject({ added: 1 });
    expect(await feed()).toMatchObject({ isFollowed: true, isDisabled: false });
  });

  const drip: Respond = (response) => {
    response.writeHead(200, { 'content-type': 'text/xml' });
    const timer = setInterval(() => response.write('<'), 50);
    response.on('close', () => clearInterval(timer));
  };
  test.each<[string, Respond, string]>([
    ['hangs', () => undefined, 'NETWORK'],
    ['drips', drip, 'NETWORK'],
    [
      'breaks off',
      (response) => response.writeHead(200, { 'content-length': '1000' }).write('<rss', () => response.destroy()),
      'NETWORK',
    ],
  ])('that %s does not hold the job', async (_name, how, code) => {
    receiver.respond(how);
    const asked: HttpRequest[] = [];
    await using run = await runJob(
      impatient(asked),
      { feedUrl: `${receiver.url}/feed` },
      { http: { allow: [receiver.host] }, documents },
    );
    expect(run.outcome).toMatchObject({ state: 'retry', code });
    expect(asked).toMatchObject([{ timeoutMs: 15_000, maxBytes: 5_242_880, redirects: 3 }]);
    // One that is tried again in a moment is no reason to make the feed rarer.
    expect(await feed()).toBeUndefined();
  });

  test.each<[string, Respond, string]>([
    [
      'a gzip bomb',
      (response) =>
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(50_000_000, ' '))),
      'LIMIT_EXCEEDED',
    ],
    ['more than 5 MiB', xml(Buffer.alloc(5_242_881, ' ')), 'LIMIT_EXCEEDED'],
    [
      'an endless body',
      (response) => {
        const more = (): void =>
          void (
            response.destroyed ||
            (response.write(Buffer.alloc(65_536, '<')) ? setImmediate(more) : response.once('drain', more))
          );
        response.writeHead(200);
        more();
      },
      'LIMIT_EXCEEDED',
    ],
    [
      'more than three redirects',
      (response, { path }) => response.writeHead(302, { location: `${path}x` }).end(),
      'FORBIDDEN_TARGET',
    ],
    [
      'a redirect to another port of loopback',
      (response) => response.writeHead(302, { location: 'http://127.0.0.1:22/' }).end(),
      'FORBIDDEN_TARGET',
    ],
    [
      'a redirect to the metadata of a cloud',
      (response) => response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end(),
      'FORBIDDEN_TARGET',
    ],
    [
      'a redirect to 0x7f.1',
      (response) => response.writeHead(302, { location: 'http://0x7f.1/' }).end(),
      'FORBIDDEN_TARGET',
    ],
    [
      'a redirect to a file',
      (response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
      'FORBIDDEN_TARGET',
    ],
    ['nothing', xml(''), 'BAD_SOURCE'],
    [
      'a web page',
      xml('<!DOCTYPE html><html><head><title>Hi</title></head></html>', { 'content-type': 'text/html' }),
      'BAD_SOURCE',
    ],
  ])('that answers with %s makes a dead letter', async (_name, how, code) => {
    receiver.respond(how);
    await using run = await fetch();
    expect(run.outcome).toEqual({ state: 'dead', code });
    expect(await all('news')).toEqual([]);
    expect(await feed()).toMatchObject({ failures: 1 });
  });

  test.each([
    'http://127.0.0.1/feed',
    'https://0x7f.1/',
    'http://localhost/',
    'http://169.254.169.254/',
    'https://[::1]/',
  ])('that is not public is not asked: %s', async (feedUrl) => {
    await using run = await fetch({ feedUrl });
    expect(run.outcome).toEqual({ state: 'dead', code: 'FORBIDDEN_TARGET' });
    expect(receiver.received).toEqual([]);
  });
});

test.each([
  { feedUrl: 'ftp://e.example/feed' },
  { feedUrl: 'https://user:secret@e.example/feed' },
  { feedUrl: `https://e.example/${'x'.repeat(2_100)}` },
  { feedUrl: '/feed' },
  { feedUrl: null },
  { follow: true },
  { feedUrl: 'https://e.example/feed', follow: 'yes' },
])('a payload that is none is refused: %j', async (payload) => {
  await using run = await runJob(handler, payload, { documents });
  expect(run.outcome).toEqual({ state: 'dead', code: 'PAYLOAD_INVALID' });
  expect(await all('feeds')).toEqual([]);
});

describe('the schedule', () => {
  const tick = (records = memoryRecords()) => runJob(handler, {}, { documents, records, id: 'news-aggregation_tick' });
  const change = async (more: object) => {
    const known = await feed();
    if (known === undefined) throw new Error('expected a feed');
    await own.put('feeds', { ...known, ...more });
  };

  test('adds one job for each followed feed that is due, and none before the next time', async () => {
    receiver.respond(xml(rss(one), { 'cache-control': 'max-age=7200' }));
    await using once = await fetch({ feedUrl: `${receiver.url}/once` });
    await using followed = await fetch({ follow: true });
    expect([once.outcome.state, followed.outcome.state]).toEqual(['done', 'done']);
    await using early = await tick();
    expect(early).toMatchObject({ result: { feeds: 0 }, enqueued: [] });
    for (const known of await all('feeds')) await own.put('feeds', { ...known, nextAt: '2026-01-01T00:00:00.000Z' });
    await using due = await tick();
    expect(due.result).toEqual({ added: 0, updated: 0, unchanged: 0, problems: [], feeds: 1 });
    expect(due.enqueued).toMatchObject([{ type: 'news-aggregation', payload: { feedUrl: `${receiver.url}/feed` } }]);
    await using again = await tick();
    expect(again.enqueued).toEqual([]);
  });

  test('leaves feeds that are disabled or followed no more', async () => {
    receiver.respond(xml(rss(one)));
    await using first = await fetch({ follow: true });
    expect(first.outcome.state).toBe('done');
    const overdue = { nextAt: '2026-01-01T00:00:00.000Z' };
    await change({ ...overdue, isDisabled: true });
    await using disabled = await tick();
    expect(disabled.enqueued).toEqual([]);
    await change({ ...overdue, isDisabled: false });
    const asked = receiver.received.length;
    await using unfollow = await fetch({ follow: false });
    expect(unfollow.result).toEqual({ added: 0, updated: 0, unchanged: 0, problems: [] });
    expect(receiver.received.length).toBe(asked);
    await using after = await tick();
    expect(after.enqueued).toEqual([]);
  });

  test('that dies in between adds a feed under the same key again', async () => {
    receiver.respond(xml(rss(one)));
    await using first = await fetch({ follow: true });
    expect(first.outcome.state).toBe('done');
    await change({ nextAt: '2026-01-01T00:00:00.000Z' });
    await using cut = await runJob(handler, {}, { documents: dyingAfter(documents, 0), id: 'news-aggregation_tick' });
    await using next = await tick();
    expect(cut.outcome.state).toBe('retry');
    expect(cut.enqueued.map(({ key }) => key)).toEqual(next.enqueued.map(({ key }) => key));
    expect(next.enqueued).toHaveLength(1);
  });
});

/** The store, whose writes fail after the first few. */
function dyingAfter(store: ReturnType<typeof memoryDocuments>, writes: number): ReturnType<typeof memoryDocuments> {
  let left = writes;
  const dying = <T>(write: () => Promise<T>): Promise<T> => {
    left -= 1;
    return left < 0 ? Promise.reject(new Error('killed')) : write();
  };
  return {
    ...store,
    of: (tenant) => {
      const kept = store.of(tenant);
      return {
        ...kept,
        put: (...call) => dying(() => kept.put(...call)),
        putMany: (...call) => dying(() => kept.putMany(...call)),
      };
    },
  };
}
