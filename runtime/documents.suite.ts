/** The suite of `Documents`: what every store does alike. */
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readJson } from './document-checks.ts';
import type { DocumentQuery, Scalar, StoredDocument } from './document-query.ts';
import { type Documents, mergeCollections, type TenantDocuments } from './documents.ts';
import { memoryDocuments } from './documents-memory.ts';

export const suiteCollections = mergeCollections([
  { things: { indexes: [['group', 'rank'], ['at.day']] }, short: { ttlMs: 60_000 }, loose: {} },
]);

type FieldFilter = NonNullable<DocumentQuery['filter']>[string];

const refused = { code: 'DOCUMENT_REFUSED' };

async function all(
  documents: TenantDocuments,
  collection: string,
  query: DocumentQuery = {},
): Promise<StoredDocument[]> {
  const found: StoredDocument[] = [];
  for (let after: string | undefined; ; ) {
    const page = await documents.page(collection, { ...query, after });
    found.push(...page.items);
    if (page.next === undefined) return found;
    after = page.next;
  }
}

const ids = async (...args: Parameters<typeof all>): Promise<string[]> => (await all(...args)).map(({ _id }) => _id);

interface Stage {
  readonly documents: Documents;
  /** The same store over a connection of its own. */
  readonly other: Documents;
  readonly close: () => Promise<void>;
}

export function documentsSuite(name: string, open: () => Promise<Stage>): void {
  describe(`documents in ${name}`, () => {
    let stage: Stage;
    let documents: TenantDocuments;
    let tenants = 0;
    /** A tenant of its own for each test. */
    const fresh = (): TenantDocuments => stage.documents.of(`t${(tenants += 1)}-${randomBytes(4).toString('hex')}`);

    beforeAll(async () => {
      stage = await open();
      expect(await Promise.all([stage.documents.problem(), stage.other.problem()])).toEqual([undefined, undefined]);
    });
    afterAll(async () => {
      await stage?.close();
    });

    test('writes, replaces, reads and removes, and counts versions', async () => {
      documents = fresh();
      const first = { _id: 'a', list: [1, { deep: null }], text: 'नमस्ते ₹ 🙂', number: 0.1, gone: undefined };
      expect(await documents.put('things', first)).toBe(true);
      expect(await documents.get('things', 'a')).toEqual({
        _id: 'a',
        _version: 1,
        list: [1, { deep: null }],
        text: 'नमस्ते ₹ 🙂',
        number: 0.1,
      });
      expect(await documents.put('things', { _id: 'a', at: new Date(0) })).toBe(true);
      expect(await documents.get('things', 'a')).toEqual({ _id: 'a', _version: 2, at: '1970-01-01T00:00:00.000Z' });
      expect(await documents.remove('things', ['a', 'absent', 'a'])).toBe(1);
      expect(await documents.get('things', 'a')).toBeUndefined();
    });

    test('takes back what it gave: _id and _version are no fields', async () => {
      documents = fresh();
      await documents.put('things', { _id: 'a', n: 1 });
      const read = await documents.get('things', 'a');
      if (read === undefined) throw new Error('expected a document');
      expect(await documents.put('things', { ...read, n: 2 }, { version: read._version })).toBe(true);
      expect(await documents.get('things', 'a')).toEqual({ _id: 'a', _version: 2, n: 2 });
    });

    test('keeps field names that other programs stumble over', async () => {
      documents = fresh();
      const odd = readJson('{"__proto__":{"x":1},"a.b":{"c.d":2},"constructor":3,"0":[],"ä €":4}');
      await documents.put('things', { _id: 'odd', ...odd });
      const { _id, _version, ...rest } = (await documents.get('things', 'odd')) ?? { _id: '', _version: 0 };
      expect(JSON.parse(JSON.stringify(rest))).toEqual(odd);
    });

    test('compares versions: one winner of twenty', async () => {
      documents = fresh();
      const tries = async (version: number) =>
        (
          await Promise.all(Array.from({ length: 20 }, (_, n) => documents.put('things', { _id: 'x', n }, { version })))
        ).filter(Boolean).length;
      expect(await tries(1)).toBe(0);
      expect(await documents.get('things', 'x')).toBeUndefined();
      expect(await tries(0)).toBe(1);
      expect(await tries(0)).toBe(0);
      expect(await tries(1)).toBe(1);
      expect(await documents.get('things', 'x')).toMatchObject({ _version: 2 });
    });

    test('loses no write of many at once', async () => {
      documents = fresh();
      await Promise.all(Array.from({ length: 30 }, (_, n) => documents.put('things', { _id: 'x', n })));
      expect(await documents.get('things', 'x')).toMatchObject({ _version: 30 });
    });

    test('writes a thousand at once, made or replaced', async () => {
      documents = fresh();
      const many = Array.from({ length: 1_000 }, (_, n) => ({ _id: `d${String(n).padStart(3, '0')}`, n }));
      await documents.put('things', { _id: 'd000', n: -1 });
      await documents.putMany('things', many);
      const found = await all(documents, 'things', { limit: 1_000 });
      expect(found.map(({ _id, n }) => ({ _id, n }))).toEqual(many);
      expect(found.map(({ _version }) => _version).reduce((sum, version) => sum + version)).toBe(1_001);
      expect(
        await documents.remove(
          'things',
          many.map(({ _id }) => _id),
        ),
      ).toBe(1_000);
      await documents.putMany('things', []);
      expect(await ids(documents, 'things')).toEqual([]);
    });

    test('keeps tenants and collections apart', async () => {
      documents = fresh();
      const other = fresh();
      await documents.put('things', { _id: 'a', who: 1 });
      await other.put('things', { _id: 'a', who: 2 });
      await documents.put('loose', { _id: 'a', who: 3 });
      expect(await other.get('things', 'a')).toMatchObject({ who: 2, _version: 1 });
      expect(await documents.removePrefix('things', 'a')).toBe(1);
      expect([await ids(documents, 'things'), await ids(other, 'things')]).toEqual([[], ['a']]);
      expect(await documents.get('loose', 'a')).toMatchObject({ who: 3 });
    });

    test('names the tenants of a collection, and no others', async () => {
      const names = ['a', 'a-b', 'b'].map((name) => `${name}-${randomBytes(4).toString('hex')}`);
      for (const name of names) await stage.documents.of(name).put('things', { _id: 'x/y' });
      const [gone = '', elsewhere = ''] = ['gone', 'elsewhere'].map(
        (name) => `${name}-${randomBytes(4).toString('hex')}`,
      );
      await stage.documents.of(gone).put('things', { _id: 'x' });
      await stage.documents.of(gone).remove('things', ['x']);
      await stage.documents.of(elsewhere).put('loose', { _id: 'x' });
      const found = await stage.documents.tenants('things');
      expect(new Set(found).size).toBe(found.length);
      expect(names.filter((name) => !found.includes(name))).toEqual([]);
      expect(found).not.toContain(gone);
      expect(found).not.toContain(elsewhere);
      await expect(stage.documents.tenants('unknown')).rejects.toMatchObject(refused);
    });

    test('removes by prefix, and nothing beside it', async () => {
      documents = fresh();
      const names = ['5m:', '5m:a', '5m:a/b', '5m:\u{10ffff}', '5m;', '5m', '5M:a', 'é1', 'é', 'f'];
      await documents.putMany(
        'things',
        names.map((_id) => ({ _id })),
      );
      expect(await documents.removePrefix('things', '5m:')).toBe(4);
      expect(await documents.removePrefix('things', 'é')).toBe(2);
      expect(await documents.removePrefix('things', 'absent')).toBe(0);
      expect(await ids(documents, 'things')).toEqual(['5M:a', '5m', '5m;', 'f']);
    });

    test('sorts by a declared index both ways, and goes on where a page ended', async () => {
      documents = fresh();
      const ranks = [3, 1, 2, 2, null, 'x', 'X', true, false, undefined, -5, 1.5, 1e300];
      await documents.putMany(
        'things',
        ranks.map((rank, n) => ({ _id: `d${String(n).padStart(2, '0')}`, group: 'g', rank })),
      );
      await documents.put('things', { _id: 'z', group: 'h', rank: 0 });
      const up = ['d04', 'd09', 'd10', 'd01', 'd11', 'd02', 'd03', 'd00', 'd12', 'd06', 'd05', 'd08', 'd07'];
      const filter = { group: 'g' };
      for (const limit of [1, 2, 5, 100]) {
        expect(await ids(documents, 'things', { filter, sort: [{ field: 'rank' }], limit })).toEqual(up);
        const down = { filter, sort: [{ field: 'rank', descending: true }], limit };
        expect(await ids(documents, 'things', down)).toEqual(up.toReversed());
        const both = { sort: [{ field: 'group' }, { field: 'rank' }], limit };
        expect(await ids(documents, 'things', both)).toEqual([...up, 'z']);
        expect(await ids(documents, 'things', { sort: [{ field: 'group' }], limit })).toEqual([...up, 'z']);
        const byId = { filter, sort: [{ field: '_id', descending: true }], limit };
        expect(await ids(documents, 'things', byId)).toEqual(up.toSorted().toReversed());
      }
    });

    test('orders text by code points, not by the rules of a language', async () => {
      documents = fresh();
      const texts = ['', ' ', 'A', 'Z', 'a', 'b', 'z', 'é', 'ß', '€', 'नमस्ते', '中'];
      await documents.putMany(
        'things',
        texts.map((day, n) => ({ _id: `${n}`, at: { day } })),
      );
      const found = await all(documents, 'things', { sort: [{ field: 'at.day' }] });
      const sorted = texts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(found.map((document) => document['at'])).toEqual(sorted.map((day) => ({ day })));
    });

    test('ends a page early when its documents are large', async () => {
      documents = fresh();
      const text = 'x'.repeat(700_000);
      for (let n = 0; n < 7; n += 1) await documents.put('loose', { _id: `${n}`, text });
      const page = await documents.page('loose', { limit: 1_000 });
      expect(page.items.length).toBeGreaterThan(0);
      expect(page.items.length).toBeLessThan(7);
      expect(await ids(documents, 'loose', { limit: 1_000 })).toEqual(['0', '1', '2', '3', '4', '5', '6']);
    });

    test('goes on behind a document that was removed meanwhile', async () => {
      documents = fresh();
      await documents.putMany(
        'things',
        ['a', 'b', 'c'].map((_id) => ({ _id })),
      );
      const page = await documents.page('things', { limit: 2 });
      await documents.remove('things', ['b']);
      await documents.put('things', { _id: 'aa' });
      expect((await documents.page('things', { limit: 2, after: page.next })).items).toMatchObject([{ _id: 'c' }]);
    });

    test('lets documents expire without anybody deleting them', async () => {
      documents = fresh();
      await documents.put('short', { _id: 'kept', n: 1 });
      await documents.put('short', { _id: 'brief', n: 1 }, { ttlMs: 60 });
      await documents.putMany('short', [{ _id: 'brief2' }, { _id: 'brief3' }], { ttlMs: 60 });
      await expect.poll(() => ids(documents, 'short'), { timeout: 10_000 }).toEqual(['kept']);
      expect(await documents.get('short', 'brief')).toBeUndefined();
      expect(await documents.put('short', { _id: 'brief', n: 2 }, { version: 1 })).toBe(false);
      expect(await documents.put('short', { _id: 'brief', n: 2 }, { version: 0 })).toBe(true);
      expect(await documents.get('short', 'brief')).toEqual({ _id: 'brief', _version: 1, n: 2 });
      await documents.put('short', { _id: 'brief2', n: 3 });
      expect(await documents.get('short', 'brief2')).toMatchObject({ _version: 1, n: 3 });
      await documents.putMany('short', [{ _id: 'brief3', n: 4 }]);
      expect(await documents.get('short', 'brief3')).toMatchObject({ _version: 1, n: 4 });
      await documents.put('short', { _id: 'brief4' }, { ttlMs: 60 });
      await expect.poll(() => documents.get('short', 'brief4'), { timeout: 10_000 }).toBeUndefined();
      expect(await documents.removePrefix('short', 'brief')).toBe(3);
      await stage.documents.sweep(new AbortController().signal);
      expect(await ids(documents, 'short')).toEqual(['kept']);
    });

    test('writing again makes a document live anew', async () => {
      documents = fresh();
      await documents.put('short', { _id: 'a', n: 1 }, { ttlMs: 300 });
      await documents.put('short', { _id: 'a', n: 2 }, { version: 1 });
      await wait(400); // what is shown is that nothing happens by then
      expect(await documents.get('short', 'a')).toEqual({ _id: 'a', _version: 2, n: 2 });
    });

    test('refuses what no store takes, in the same words', async () => {
      documents = fresh();
      const deep = JSON.parse(`${'['.repeat(70)}${']'.repeat(70)}`) as unknown;
      // What no compiler lets through comes from JSON all the same.
      const askOddly = (filter: object): Promise<unknown> =>
        documents.page('things', { filter: Object.assign<Record<string, FieldFilter>, object>({}, filter) });
      const bad: Promise<unknown>[] = [
        documents.get('unknown', 'a'),
        documents.get('things', ''),
        documents.get('things', 'x'.repeat(513)),
        documents.put('constructor', { _id: 'a' }),
        documents.put('things', { _id: 'a\0' }),
        documents.put('things', { _id: '\ud800' }),
        documents.put('things', { _id: 'a', text: 'x\0y' }),
        documents.put('things', { _id: 'a', text: ['\udc00'] }),
        documents.put('things', { _id: 'a', 'x\0': 1 }),
        documents.put('things', { _id: 'a', $set: 1 }),
        documents.put('things', { _id: 'a', '': 1 }),
        documents.put('things', { _id: 'a', deep }),
        documents.put('things', { _id: 'a', big: 1n }),
        documents.put('things', { _id: 'a', text: 'x'.repeat(1_048_577) }),
        documents.put('things', { _id: 'a', rank: [1] }),
        documents.put('things', { _id: 'a', group: 'x'.repeat(501) }),
        documents.put('things', { _id: 'a' }, { version: -1 }),
        documents.put('things', { _id: 'a' }, { ttlMs: 1_000 }),
        documents.put('short', { _id: 'a' }, { ttlMs: 60_001 }),
        documents.putMany('things', [{ _id: 'a' }, { _id: 'a' }]),
        documents.putMany(
          'things',
          Array.from({ length: 1_001 }, (_, n) => ({ _id: `${n}` })),
        ),
        documents.remove(
          'things',
          Array.from({ length: 1_001 }, (_, n) => `${n}`),
        ),
        documents.removePrefix('things', ''),
        documents.page('things', { limit: 0 }),
        documents.page('things', { limit: 1_001 }),
        documents.page('things', { after: 'nonsense' }),
        documents.page('things', { sort: [{ field: 'rank' }] }),
        documents.page('things', { sort: [{ field: 'rank' }], filter: { group: { gt: 'a' } } }),
        documents.page('things', { sort: [{ field: 'group' }, { field: 'rank', descending: true }] }),
        documents.page('things', { filter: { 'a.0': 1 } }),
        documents.page('things', { filter: { 'a.__proto__': 1 } }),
        documents.page('things', { filter: { $where: 'x' } }),
        documents.page('things', { filter: { "a'}') --": 1 } }),
        documents.page('things', { filter: { a: {} } }),
        askOddly({ a: { $gt: '' } }),
        documents.page('things', { filter: { a: { gt: Number.NaN } } }),
        askOddly({ a: [1] }),
        documents.page('things', { filter: { a: { in: Array.from({ length: 101 }, (_, n) => n) } } }),
      ];
      for (const [at, one] of bad.entries()) await expect(one, `case ${at}`).rejects.toMatchObject(refused);
      expect(() => stage.documents.of('../x')).toThrow(expect.objectContaining(refused));
      expect(await ids(documents, 'things')).toEqual([]);
    });

    test('is one store for every connection', async () => {
      const tenant = `shared-${randomBytes(4).toString('hex')}`;
      await stage.documents.of(tenant).put('things', { _id: 'a', n: 1 });
      expect(await stage.other.of(tenant).put('things', { _id: 'a', n: 2 }, { version: 1 })).toBe(true);
      expect(await stage.documents.of(tenant).get('things', 'a')).toMatchObject({ n: 2 });
    });

    test('finds, sorts and pages as the model does, whatever the fields hold', async () => {
      const value: fc.Arbitrary<unknown> = fc.oneof(
        fc.constantFrom(null, undefined, true, false, 0, -1, 1, 1.5, '', 'a', 'b', 'é', [], ['a'], [1], {}, { a: 1 }, [
          null,
        ]),
        fc.integer({ min: -3, max: 3 }),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.string({ maxLength: 3 }).filter((text) => !text.includes('\0')),
      );
      const scalar = value.filter(
        (one): one is Scalar => one !== undefined && (typeof one !== 'object' || one === null),
      );
      const indexed = fc.oneof(scalar, fc.constant(undefined));
      const document = fc.record({
        group: indexed,
        rank: indexed,
        v: value,
        at: fc.oneof(fc.record({ day: indexed }), fc.constant(undefined), scalar),
        o: fc.oneof(fc.record({ v: value }), value, fc.array(fc.record({ v: value }), { maxLength: 2 })),
      });
      const test = fc.oneof(
        scalar,
        fc.record({ in: fc.array(scalar, { maxLength: 3 }) }),
        fc
          .tuple(fc.constantFrom('gt', 'gte', 'lt', 'lte'), scalar)
          .map(([op, bound]): FieldFilter => ({ [op]: bound })),
        fc.record({ gte: scalar, lt: scalar }),
      );
      const filter = fc.dictionary(fc.constantFrom('group', 'rank', 'v', 'o.v', 'at.day', 'o'), test, { maxKeys: 2 });
      const sort = fc.constantFrom(undefined, ['group'], ['group', 'rank'], ['at.day'], ['_id']);
      const way = fc.boolean();
      let compared = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(document, { minLength: 1, maxLength: 12 }),
          fc.array(fc.tuple(filter, sort, way, fc.integer({ min: 1, max: 5 })), { minLength: 4, maxLength: 8 }),
          async (written, queries) => {
            const model = memoryDocuments(suiteCollections).of('m');
            const real = fresh();
            const many = written.map((one, n) => ({ _id: `d${n}`, ...one }));
            await Promise.all([model.putMany('things', many), real.putMany('things', many)]);
            for (const [wanted, fields, descending, limit] of queries) {
              const order = fields === undefined ? {} : { sort: fields.map((field) => ({ field, descending })) };
              const query = { filter: wanted, limit, ...order };
              compared += 1;
              expect(await all(real, 'things', query), JSON.stringify(query)).toEqual(
                await all(model, 'things', query),
              );
            }
          },
        ),
        { numRuns: 60 },
      );
      expect(compared).toBeGreaterThan(200);
    });
  });
}
