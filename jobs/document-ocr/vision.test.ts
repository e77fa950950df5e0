/** The second reader, at the far end of a real connection: what it may change, and that its absence costs nothing. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { doubtfulInvoice, makePdf, textPage } from '../../tests/support/make-pdf.ts';
import { createBreakers } from '../../workers/breaker.ts';
import { runJob } from '../../workers/testing.ts';
import { memoryLimiter } from '../../workers/testing-records.ts';
import { assess } from './assess.ts';
import handler from './handler.ts';
import { withSecondReader } from './vision.ts';

interface Asked {
  readonly path: string;
  readonly key: string | undefined;
  readonly body: unknown;
}

let server: Server;
let asked: Asked[] = [];
let answer: { status: number; text: string } = { status: 200, text: '' };

beforeAll(async () => {
  server = createServer((request, response) => {
    void buffer(request).then((bytes) => {
      const key = request.headers['x-goog-api-key'];
      asked.push({
        path: request.url ?? '',
        key: typeof key === 'string' ? key : undefined,
        body: JSON.parse(bytes.toString()),
      });
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.text);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()));
});
afterAll(() => new Promise((resolve) => void server.close(resolve)));

const origin = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const says = (value: unknown): { status: number; text: string } => ({
  status: 200,
  text: JSON.stringify({ candidates: [{ content: { parts: [{ text: JSON.stringify(value) }] } }] }),
});

const payload = { file_id: 'object:t/-/in.pdf', document_type: 'invoice' };
const optionsFor = (pdf: Uint8Array, env: Record<string, string> = { GEMINI_API_KEY: 'test-key' }) => ({
  inputs: { 'in.pdf': pdf },
  env: { ...env, GEMINI_URL: origin() },
  http: { allow: [new URL(origin()).host] },
});

async function run(pdf: Uint8Array, said: typeof answer, env: Record<string, string> = { GEMINI_API_KEY: 'test-key' }) {
  [asked, answer] = [[], said];
  await using ran = await runJob(handler, payload, optionsFor(pdf, env));
  if (ran.error !== undefined) throw ran.error;
  return { result: z.looseObject({ status: z.string(), source: z.string() }).parse(ran.result), logs: ran.logs };
}

/** Without a label the number stands nowhere to be found. */
const unlabelled = (): Buffer => {
  const totals: [string, string][] = [
    ['Net amount', 'USD 25.00'],
    ['Tax', 'USD 5.00'],
    ['Total:', 'USD 30.00'],
  ];
  const page = textPage(['Seller Inc.', 'A-77', 'Invoice Date: 2026-02-17', ...totals]);
  return makePdf({ pages: [{ ...page, size: [400, 200] }] });
};

test('is asked with the pages and the key, and never for what is sure', async () => {
  await run(doubtfulInvoice(), says({}));
  expect(asked).toMatchObject([
    {
      path: '/v1beta/models/gemini-2.5-flash:generateContent',
      key: 'test-key',
      body: { contents: [{ role: 'user' }] },
    },
  ]);
  const parts = z
    .object({
      contents: z.tuple([
        z.object({ parts: z.array(z.object({ inline_data: z.object({ data: z.string() }).optional() })) }),
      ]),
    })
    .parse(asked[0]?.body).contents[0].parts;
  expect(
    Buffer.from(parts[1]?.inline_data?.data ?? '', 'base64')
      .subarray(0, 3)
      .toString('hex'),
  ).toBe('ffd8ff');
  await run(doubtfulInvoice(), says({}), {});
  expect(asked).toEqual([]);
});

test('fills what was not found, and stays in doubt until a check agrees', async () => {
  const { result } = await run(unlabelled(), says({ invoice_number: 'A-77', total_amount: 30 }));
  expect(result).toMatchObject({
    status: 'review_required',
    source: 'vision',
    extracted_data: { invoice_number: 'A-77', total_amount: 30 },
    confidence_scores: { invoice_number: 0.8 },
  });
});

test('does not talk the first reader out of what it is sure of', async () => {
  const { result } = await run(
    doubtfulInvoice(),
    says({ invoice_number: 'FORGED', date: '1999-01-01', total_amount: 999 }),
  );
  expect(result).toMatchObject({
    extracted_data: { invoice_number: 'A-77', date: '2026-02-17' },
    status: 'review_required',
  });
});

test.each([
  ['down', { status: 500, text: 'oops' }],
  ['no JSON', { status: 200, text: 'hello' }],
  ['of another form', says({ total_amount: 'thirty' })],
  ['without a candidate', { status: 200, text: '{"candidates":[]}' }],
])('%s, it costs nothing but its help', async (_, said) => {
  const { result, logs } = await run(doubtfulInvoice(), said);
  expect(result).toMatchObject({
    status: 'review_required',
    source: 'text_layer',
    extracted_data: { total_amount: 30 },
  });
  expect(logs.join('\n')).toContain('the vision model');
  expect(logs.join('\n')).not.toContain('test-key');
});

test('busy or out of the quota of the model, the document waits without an attempt spent', async () => {
  [asked, answer] = [[], { status: 429, text: '{}' }];
  await using ran = await runJob(handler, payload, optionsFor(doubtfulInvoice()));
  expect(ran.outcome).toEqual({ state: 'later', code: 'HTTP_429', delayMs: 30_000 });
});

test('while its breaker is open, the document waits', async () => {
  answer = { status: 500, text: 'oops' };
  const breakers = createBreakers();
  for (let n = 0; n < 5; n += 1) {
    await using ran = await runJob(handler, payload, { ...optionsFor(doubtfulInvoice()), breakers });
    expect(ran.result).toMatchObject({ status: 'review_required' });
  }
  asked = [];
  await using parked = await runJob(handler, payload, { ...optionsFor(doubtfulInvoice()), breakers });
  expect(parked.outcome).toMatchObject({ state: 'later', code: 'DEPENDENCY_DOWN' });
  expect(asked).toEqual([]);
});

test('is asked as often an hour as a tenant may; then its documents wait, and those of others go on', async () => {
  [asked, answer] = [[], says({})];
  const limiter = memoryLimiter();
  const env = { GEMINI_API_KEY: 'test-key', GEMINI_CALLS_PER_HOUR: '2' };
  const of = (tenant: string) =>
    runJob(
      handler,
      { ...payload, file_id: `object:t/${tenant}/in.pdf` },
      { ...optionsFor(doubtfulInvoice(), env), limiter, tenant },
    );
  for (const state of ['done', 'done', 'later']) {
    await using ran = await of('acme');
    expect(ran.outcome.state).toBe(state);
    if (ran.outcome.state !== 'later') continue;
    expect(ran.outcome).toMatchObject({ code: 'LIMITED' });
    expect(ran.outcome.delayMs).toBeGreaterThan(3_500_000);
  }
  expect(asked).toHaveLength(2);
  await using other = await of('other');
  expect(other.outcome.state).toBe('done');
});

test('alone it is never surer than 0.90, however many checks agree', () => {
  const vision = (value: number | string) => ({ value, confidence: 0.8, cap: 0.9 });
  const first = { fields: { net_amount: { value: 25, confidence: 0.99 }, tax_amount: { value: 5, confidence: 0.99 } } };
  const second = { fields: { total_amount: vision(30), invoice_number: vision('A-77') } };
  const rest = { items: [{ amount: 10 }, { amount: 20 }], issues: [], agreed: {} };
  const found = withSecondReader({ ...rest, ...first }, { ...rest, ...second }, 0.85);
  // The lines are its sum, and net and tax make it.
  const { scores } = assess(found, 'invoice', 0.99, { overall: 0.85, fields: {} });
  expect(scores).toMatchObject({ total_amount: 0.9, invoice_number: 0.8, net_amount: 0.995 });
});
