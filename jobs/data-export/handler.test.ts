import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gunzipSync, inflateRawSync } from 'node:zlib';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import type { NewDocument } from '../../runtime/documents.ts';
import { memoryDocuments } from '../../runtime/documents-memory.ts';
import { type JobRun, type RunJobOptions, runJob } from '../../workers/testing.ts';
import handler from './handler.ts';

const people: readonly NewDocument[] = [
  {
    _id: 'a1',
    name: 'Ada =1+1',
    note: '=HYPERLINK("http://x")',
    age: 36,
    member: true,
    at: '2026-11-21T10:00:00Z',
    phone: '+91 9876543210',
  },
  {
    _id: 'b2',
    name: 'नमस्ते ₹ 5',
    note: '-5.2',
    age: -1.5,
    member: false,
    at: '1899-12-30T00:00:00Z',
    email: 'ada@example.com',
  },
  { _id: 'c3', name: 'a"b;c\r\nd', note: '', age: null, tags: [{ x: 1 }], bank: { accountNumber: '123456783456' } },
];
const columns = [
  { field: '_id', header: 'id' },
  { field: 'name' },
  { field: 'note' },
  { field: 'age', type: 'number' },
  { field: 'member', type: 'boolean' },
  { field: 'at', type: 'date' },
  { field: 'tags', type: 'json' },
];
const payload = { collection: 'people', columns, format: 'csv', unmasked: true };

async function exported(
  more: Readonly<Record<string, unknown>>,
  documents: readonly NewDocument[] = people,
  options: RunJobOptions = {},
) {
  const store = memoryDocuments({ people: {} });
  for (let at = 0; at < documents.length; at += 1_000)
    await store.of('acme').putMany('people', documents.slice(at, at + 1_000));
  await store.of('other').put('people', { _id: 'a0', name: 'of somebody else' });
  return runJob(handler, { ...payload, ...more }, { tenant: 'acme', documents: store, ...options });
}

async function fileOf(run: JobRun): Promise<Buffer> {
  const { key, bytes, sha256 } = run.result as { key: string; bytes: number; sha256: string };
  const found = await run.objects.get(key.slice('object:'.length));
  if (found === undefined) throw new Error(`there is no ${key}`);
  const body = await buffer(found.body);
  expect([body.byteLength, createHash('sha256').update(body).digest('hex')]).toEqual([bytes, sha256]);
  return body;
}

test('CSV holds the rows of the tenant by id, guarded and typed', async () => {
  await using run = await exported({});
  expect(run.error).toBeUndefined();
  expect(run.result).toMatchObject({ key: 'object:t/acme/exports/data-export_TEST/people.csv', rows: 3, bound: 'c3' });
  const kept = (run.result as { expiresAt: string }).expiresAt;
  expect(Date.parse(kept) - Date.now()).toBeGreaterThan(6.99 * 86_400_000);
  expect(parse(await fileOf(run), { bom: true })).toEqual([
    ['id', 'name', 'note', 'age', 'member', 'at', 'tags'],
    ['a1', 'Ada =1+1', '\'=HYPERLINK("http://x")', '36', 'true', '2026-11-21T10:00:00.000Z', ''],
    ['b2', 'नमस्ते ₹ 5', '-5.2', '-1.5', 'false', '1899-12-30T00:00:00.000Z', ''],
    ['c3', 'a"b;c\r\nd', '', '', '', '', '[{"x":1}]'],
  ]);
});

test('data of others say whose they are, in every row', async () => {
  const store = memoryDocuments({ people: { attribution: 'People data: Somebody, CC BY 4.0' } });
  await store.of('acme').putMany('people', people);
  const more = { documents: store, tenant: 'acme' };
  const asked = { ...payload, columns: [{ field: '_id' }, { field: 'name', header: 'attribution' }] };
  await using csv = await runJob(handler, asked, more);
  const [header, ...rows] = parse(await fileOf(csv), { bom: true });
  expect(header).toEqual(['_id', 'attribution', 'attribution_']);
  expect(rows.map((row) => row.at(-1))).toEqual(people.map(() => 'People data: Somebody, CC BY 4.0'));
  await using json = await runJob(handler, { ...asked, format: 'json', columns: [{ field: '_id' }] }, more);
  expect(JSON.parse((await fileOf(json)).toString())).toContainEqual({
    _id: 'a1',
    attribution: 'People data: Somebody, CC BY 4.0',
  });
});

test('a filter chooses rows, also by id; nothing found is an empty file with its header', async () => {
  await using some = await exported({ filter: { age: { gte: 0 }, _id: { lt: 'z' } } });
  expect(some.result).toMatchObject({ rows: 1, bound: 'a1' });
  await using one = await exported({ filter: { _id: 'b2' }, format: 'jsonl' });
  expect((await fileOf(one)).toString()).toContain('"id":"b2"');
  await using none = await exported({ filter: { name: 'nobody' } });
  expect(none.result).toMatchObject({ rows: 0, bound: null });
  expect(parse(await fileOf(none), { bom: true })).toHaveLength(1);
});

test('personal data is masked unless it is asked for', async () => {
  const more = {
    columns: ['phone', 'email', 'bank.accountNumber', 'name'].map((field) => ({ field })),
    format: 'jsonl',
  };
  await using masked = await exported({ ...more, unmasked: false });
  const text = (await fileOf(masked)).toString();
  for (const secret of ['9876543210', 'ada@example.com', '123456783456']) expect(text).not.toContain(secret);
  expect(text).toContain('********3456');
  expect(text).toContain('a***@example.com');
  await using open = await exported({ ...more, unmasked: true });
  expect((await fileOf(open)).toString()).toContain('ada@example.com');
});

test('JSON, JSON Lines and gzip hold the same', async () => {
  await using json = await exported({ format: 'json' });
  await using lines = await exported({ format: 'jsonl', gzip: true });
  expect((lines.result as { key: string }).key).toMatch(/people\.jsonl\.gz$/);
  const read = gunzipSync(await fileOf(lines))
    .toString()
    .trimEnd()
    .split('\n');
  const whole: unknown = JSON.parse((await fileOf(json)).toString());
  expect(read.map((line): unknown => JSON.parse(line))).toEqual(whole);
  expect(whole).toMatchObject([{ id: 'a1', age: 36, member: true, tags: null }, { id: 'b2' }, { tags: [{ x: 1 }] }]);
});

/** Files of a zip, by the names in its central directory. */
function unzip(zip: Buffer): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [method, packed] = [zip.readUInt16LE(at + 10), zip.readUInt32LE(at + 20)];
    const [name, extra, comment] = [zip.readUInt16LE(at + 28), zip.readUInt16LE(at + 30), zip.readUInt16LE(at + 32)];
    const local = zip.readUInt32LE(at + 42);
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const body = zip.subarray(start, start + packed);
    files.set(zip.toString('utf8', at + 46, at + 46 + name), (method === 8 ? inflateRawSync(body) : body).toString());
    at += 46 + name + extra + comment;
  }
  return files;
}

test('XLSX keeps texts as texts, ids whole and early dates as text', async () => {
  const documents = [
    { _id: 'a', name: '=1+1', n: 12_345_678_901_234_567_000, at: '1899-12-31T00:00:00Z', zip: '00042' },
    { _id: 'b', name: 'x', n: 1.5, at: '2026-11-21T10:00:00Z', zip: '12345678901234567890' },
  ];
  const typed = [{ field: 'name' }, { field: 'n', type: 'number' }, { field: 'at', type: 'date' }, { field: 'zip' }];
  await using run = await exported({ format: 'xlsx', columns: typed }, documents);
  expect(run.error).toBeUndefined();
  const files = unzip(await fileOf(run));
  const sheet = [...files].find(([name]) => name.endsWith('sheet1.xml'))?.[1] ?? '';
  const strings = files.get('xl/sharedStrings.xml') ?? '';
  expect(sheet).not.toContain('<f>');
  for (const text of ['=1+1', '12345678901234567000', '1899-12-31T00:00:00.000Z', '00042', '12345678901234567890'])
    expect(strings + sheet).toContain(`>${text}<`);
  expect(sheet).toContain('<v>1.5</v>');
});

test('PDF shows Devanagari and ₹ on as many pages as it takes, and refuses what its font lacks', async () => {
  const many = Array.from({ length: 120 }, (_, n) => ({ _id: `r${String(n).padStart(3, '0')}`, name: `नमस्ते ₹ ${n}` }));
  const more = { format: 'pdf', columns: [{ field: '_id' }, { field: 'name', header: 'नाम' }] };
  await using run = await exported(more, many);
  expect(run.error).toBeUndefined();
  const file = await fileOf(run);
  expect(file.subarray(0, 5).toString()).toBe('%PDF-');
  const pages = file.toString('latin1').match(/\/Type \/Page\b/g) ?? [];
  expect(pages.length).toBeGreaterThan(1);
  await using emoji = await exported(more, [{ _id: 'a', name: 'ok 🙂' }]);
  expect(emoji.error).toMatchObject({ code: 'BAD_SOURCE', message: expect.stringContaining('U+1F642') });
  await using long = await exported(more, [{ _id: 'a', name: 'word '.repeat(20_000) }]);
  expect(long.error).toMatchObject({ code: 'LIMIT_EXCEEDED' });
});

test('the text of a PDF can be read where there is a program that reads it', async ({ skip }) => {
  const run = promisify(execFile);
  const has = await run('pdftotext', ['-v']).then(
    () => true,
    () => false,
  );
  if (!has) skip('pdftotext is not installed');
  await using made = await exported({ format: 'pdf', columns: [{ field: 'name' }] }, [
    { _id: 'a', name: 'Zoë pays ₹ 1,234.50' },
  ]);
  const reading = run('pdftotext', ['-', '-']);
  reading.child.stdin?.end(await fileOf(made));
  expect((await reading).stdout).toContain('Zoë pays ₹ 1,234.50');
});

test('what a format cannot hold is refused, naming one that can', async () => {
  const rows = Array.from({ length: 5_001 }, (_, n) => ({ _id: `r${n}`, name: 'x' }));
  await using pdf = await exported({ format: 'pdf', columns: [{ field: 'name' }] }, rows);
  expect(pdf.error).toMatchObject({ code: 'LIMIT_EXCEEDED', message: expect.stringMatching(/5,000 rows.+CSV/) });
  await using xlsx = await exported({ format: 'xlsx' }, [{ _id: 'a', name: 'x'.repeat(33_000) }]);
  expect(xlsx.error).toMatchObject({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining('32767') });
  await using wide = await exported({
    format: 'pdf',
    columns: Array.from({ length: 21 }, (_, n) => ({ field: `f${n}` })),
  });
  expect(wide.error).toMatchObject({ code: 'LIMIT_EXCEEDED' });
  await using typed = await exported({ columns: [{ field: 'name', type: 'number' }] });
  expect(typed.error).toMatchObject({ code: 'BAD_SOURCE', message: expect.stringContaining('"a1"') });
  await using unknown = await exported({ collection: 'strangers' });
  expect(unknown.error).toMatchObject({ code: 'DOCUMENT_REFUSED' });
  expect(unknown.outcome).toMatchObject({ state: 'dead' });
  await using stored = await exported({ columns: [{ field: 'name', type: 'number' }] });
  expect(await stored.objects.head('t/acme/exports/data-export_TEST/people.csv')).toBeUndefined();
});

test('documents that come behind the bound while it runs are not in it', async () => {
  const store = memoryDocuments({ people: {} });
  const own = store.of('acme');
  await own.putMany(
    'people',
    Array.from({ length: 1_000 }, (_, n) => ({ _id: `m${String(n).padStart(4, '0')}`, name: 'x' })),
  );
  await own.put('people', { _id: 'n', name: 'last' });
  const growing = {
    ...store,
    of: (tenant: string) => ({
      ...store.of(tenant),
      page: async (...args: Parameters<typeof own.page>) => {
        const page = await store.of(tenant).page(...args);
        await own.putMany('people', [
          { _id: 'a', name: 'before' },
          { _id: 'z', name: 'behind' },
        ]);
        return page;
      },
    }),
  };
  await using run = await runJob(handler, payload, { tenant: 'acme', documents: growing });
  // "a" came before the first page was read, "z" behind the bound.
  expect(run.result).toMatchObject({ rows: 1_002, bound: 'n' });
});

test('tells by mail when the file is there, with a link that expires, once', async () => {
  const notify = { email: 'ada@example.com', locale: 'hi' };
  const linkTo = (key: string, ttlMs: number): string => `https://jobs.example/v1/objects/token/${key}?${ttlMs}`;
  await using run = await exported({ notify }, people, { linkTo });
  expect(run.enqueued).toMatchObject([
    {
      type: 'email-sending',
      key: 'data-export_TEST/mail',
      payload: {
        to: 'ada@example.com',
        template: 'export',
        locale: 'hi',
        variables: {
          collection: 'people',
          rows: 3,
          link: 'https://jobs.example/v1/objects/token/t/acme/exports/data-export_TEST/people.csv?900000',
        },
      },
    },
  ]);
  await using without = await exported({ notify });
  expect(without.enqueued).toMatchObject([{ payload: { variables: { job: 'data-export_TEST' } } }]);
  expect(JSON.stringify(without.enqueued)).not.toContain('link');
});
