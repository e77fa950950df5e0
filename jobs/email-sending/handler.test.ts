import { once } from 'node:events';
import { createServer } from 'node:net';
import { domainToUnicode } from 'node:url';
import * as fc from 'fast-check';
import PostalMime from 'postal-mime';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { boundCorpus, corpora } from '../../tests/corpus/bounds.ts';
import cases from '../../tests/corpus/mail.json' with { type: 'json' };
import { openSmtpSink, type SmtpSink } from '../../tests/support/smtp-sink.ts';
import { createBreakers } from '../../workers/breaker.ts';
import { runJob } from '../../workers/testing.ts';
import { memoryRecords } from '../../workers/testing-records.ts';
import type { Handler, OpenHandler } from '../define.ts';
import handler from './handler.ts';
import emailSending from './job.ts';

let sink: SmtpSink;
let opened: OpenHandler;
beforeAll(async () => {
  sink = await openSmtpSink();
  opened = await handler.open({ SMTP_URL: sink.url });
});
afterEach(() => sink.refuse());
afterAll(async () => {
  await opened.close();
  await sink.close();
});
boundCorpus('email-sending');

/** Opened once, as in a worker: its connections serve all cases. */
const shared: Handler = { ...handler, open: async () => ({ run: opened.run, close: async () => {} }) };
/** The form in which a receiver shows a domain. */
const shown = (address: string) =>
  address.replace(/@.*/, (domain) => domainToUnicode(domain.slice(1)).replace(/^/, '@'));

/** Runs one attempt and answers what the sink got because of it. */
async function send(payload: unknown, options: Parameters<typeof runJob>[2] = {}) {
  const before = sink.mails.length;
  await using run = await runJob(options.env === undefined ? shared : handler, payload, options);
  return { run, mails: sink.mails.slice(before) };
}

const welcome = (to: string, variables: unknown = {}) => ({ to, template: 'welcome', variables });
const item = { description: 'Ticket', amount: 4_900 };
const receipt = { number: '7', currency: 'EUR', items: [item], total: 4_900 };

describe('a mail', () => {
  test('reaches its one receiver with subject, HTML and text, and says who it is', async () => {
    const { run, mails } = await send(
      welcome('ada@example.com', { name: 'Ada', link: 'https://shop.example.com/a?b=1&c=2' }),
    );
    expect(run.outcome).toEqual({ state: 'done' });
    expect(run.result).toEqual({ messageId: '<email-sending_TEST@localhost>' });
    expect(mails).toMatchObject([{ from: 'no-reply@localhost', to: ['ada@example.com'] }]);
    const mail = await PostalMime.parse(mails[0]?.source ?? '');
    expect(mail.subject).toBe('Welcome, Ada');
    expect(mail.messageId).toBe('<email-sending_TEST@localhost>');
    expect(mail.html).toContain('href="https://shop.example.com/a?b=1&amp;c=2"');
    expect(mail.text).toContain('Open your account: https://shop.example.com/a?b=1&c=2');
    expect(mail.headers.find(({ key }) => key === 'auto-submitted')?.value).toBe('auto-generated');
  });

  test('is written in the language asked for, else in its base language, else in English', async () => {
    const subject = async (locale: string) => {
      const { mails } = await send({ ...welcome('ada@example.com'), locale });
      return (await PostalMime.parse(mails[0]?.source ?? '')).subject;
    };
    expect(await subject('hi')).toBe('स्वागत है');
    expect(await subject('hi-IN')).toBe('स्वागत है');
    expect(await subject('pt-BR')).toBe('Welcome');
  });

  test('writes amounts in the smallest unit of their currency', async () => {
    const text = async (currency: string, locale: string) => {
      const { mails } = await send({ to: 'a@b.co', template: 'receipt', locale, variables: { ...receipt, currency } });
      return (await PostalMime.parse(mails[0]?.source ?? '')).text ?? '';
    };
    expect(await text('EUR', 'en')).toContain('1 × Ticket  €49.00');
    expect(await text('JPY', 'en')).toContain('¥4,900');
    expect(await text('INR', 'hi')).toContain('₹49.00');
  });

  test('may be a list of figures', async () => {
    const rows = [
      { label: 'Workers', value: '3' },
      { label: '<b>x</b>', value: '7 & more' },
    ];
    const payload = { to: 'ada@example.com', template: 'report', variables: { title: 'Fleet report', rows } };
    const { run, mails } = await send(payload);
    expect(run.outcome).toEqual({ state: 'done' });
    const mail = await PostalMime.parse(mails[0]?.source ?? '');
    expect([mail.subject, mail.text]).toEqual(['Fleet report', 'Fleet report\n\nWorkers  3\n<b>x</b>  7 & more\n\n']);
  });

  test('comes from MAIL_FROM', async () => {
    const env = { SMTP_URL: sink.url, MAIL_FROM: 'Ada, of the shop <shop@example.com>' };
    const { run, mails } = await send(welcome('ada@example.com'), { env });
    expect(run.result).toEqual({ messageId: '<email-sending_TEST@example.com>' });
    expect(mails[0]?.from).toBe('shop@example.com');
    expect(mails[0]?.source).toContain('From: "Ada, of the shop" <shop@example.com>');
  });
});

describe('a retry', () => {
  test('after 451 sends the one mail', async () => {
    const records = memoryRecords();
    sink.refuse({ status: 451, text: 'try later, ada@example.com' });
    const refused = await send(welcome('ada@example.com'), { records });
    expect(refused.run.outcome).toMatchObject({ state: 'retry', code: 'SMTP_451' });
    expect(refused.run.error?.message).not.toContain('ada@example.com');
    sink.refuse();
    const again = await send(welcome('ada@example.com'), { records, attempt: 2 });
    expect(again.run.outcome.state).toBe('done');
    expect(again.mails).toHaveLength(1);
  });

  test('of an attempt that had sent its mail sends nothing and answers with the same Message-ID', async () => {
    const records = memoryRecords();
    const first = await send(welcome('ada@example.com'), { records });
    const second = await send(welcome('ada@example.com'), { records, attempt: 2 });
    expect(second.run.result).toEqual(first.run.result);
    expect([first.mails.length, second.mails.length]).toEqual([1, 0]);
  });

  test.each([
    [450, 'greylisted, come back in 5 minutes', { state: 'later', code: 'SMTP_450', delayMs: 300_000 }],
    [421, 'too busy, closing', { state: 'retry', code: 'NETWORK' }],
    [452, 'mailbox full', { state: 'retry', code: 'SMTP_452' }],
    [550, 'no such user', { state: 'dead', code: 'SMTP_550' }],
    [554, 'refused: the receiver unsubscribed', { state: 'dead', code: 'SMTP_554' }],
  ])('depends on the answer: %i %s', async (status, text, outcome) => {
    sink.refuse({ status, text });
    const { run, mails } = await send(welcome('ada@example.com'));
    expect(run.outcome).toMatchObject(outcome);
    expect(mails).toEqual([]);
  });

  test('follows when nobody listens, when the server is silent, and when its certificate is not trusted', async () => {
    const gone = await send(welcome('ada@example.com'), { env: { SMTP_URL: 'smtp://127.0.0.1:1' } });
    expect(gone.run.outcome).toMatchObject({ state: 'retry', code: 'NETWORK' });
    const breaking = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
    await once(breaking, 'listening');
    const address = breaking.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const cut = await send(welcome('ada@example.com'), { env: { SMTP_URL: `smtp://127.0.0.1:${port}` } });
    expect(cut.run.outcome).toMatchObject({ state: 'retry', code: 'NETWORK' });
    breaking.close();
    const selfSigned = await openSmtpSink({ disabledCommands: ['AUTH'] });
    const tls = await send(welcome('ada@example.com'), { env: { SMTP_URL: selfSigned.url } });
    expect(tls.run.outcome).toMatchObject({ state: 'retry', code: 'NETWORK' });
    expect(selfSigned.mails).toEqual([]);
    await selfSigned.close();
  });

  test('follows when the server refuses the password, which is no fault of the mail', async () => {
    const locked = await openSmtpSink({
      authOptional: false,
      disabledCommands: ['STARTTLS'],
      onAuth: (_auth, _session, done) => done(Object.assign(new Error('bad credentials'), { responseCode: 535 })),
    });
    const env = { SMTP_URL: locked.url.replace('//', '//user:secret%21@') };
    const { run } = await send(welcome('ada@example.com'), { env });
    expect(run.outcome).toMatchObject({ state: 'retry', code: 'SMTP_535' });
    expect(run.error?.message).not.toContain('secret');
    await locked.close();
  });

  test('a cancelled attempt ends its connection', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    const connected = once(silent, 'connection');
    await once(silent, 'listening');
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const { run } = await send(welcome('ada@example.com'), {
      env: { SMTP_URL: `smtp://127.0.0.1:${port}` },
      onStart: (running) => void connected.then(() => running.abort('CANCELLED', 1_000)),
    });
    expect(run.outcome.state).toBe('cancelled');
    silent.close();
  });
});

describe('a mail server that is down', () => {
  const env = { SMTP_URL: 'smtp://127.0.0.1:1' };

  test('is left alone after five failures: mails are put off without an attempt spent, and come again when it is back', async () => {
    const breakers = createBreakers();
    for (let n = 0; n < 5; n += 1) {
      const { run } = await send(welcome('ada@example.com'), { env, breakers });
      expect(run.outcome).toMatchObject({ state: 'retry', code: 'NETWORK' });
    }
    const records = memoryRecords();
    const parked = await send(welcome('ada@example.com'), { env, breakers, records });
    expect(parked.run.outcome).toMatchObject({ state: 'later', code: 'DEPENDENCY_DOWN' });
    const back = await send(welcome('ada@example.com'), { breakers: createBreakers(), records });
    expect([back.run.outcome, back.mails.length]).toEqual([{ state: 'done' }, 1]);
  });

  test.each([
    [550, 'no such user'],
    [452, 'mailbox full'],
    [450, 'greylisted'],
  ])('is not one that refuses single mails: %i %s', async (status, text) => {
    const breakers = createBreakers();
    sink.refuse({ status, text });
    for (let n = 0; n < 6; n += 1) {
      const { run } = await send(welcome('ada@example.com'), { breakers });
      expect(run.outcome).toMatchObject({ code: `SMTP_${status}` });
    }
    expect(breakers.samples()).toEqual([{ name: 'smtp', state: 0 }]);
  });
});

const notOneAddress: readonly unknown[] = [
  null,
  7,
  true,
  [],
  ['ada@example.com'],
  ['ada@example.com', 'b@example.com'],
  { address: 'ada@example.com' },
  { address: 'ada@example.com\r\nBcc: e@e.co', name: 'x' },
  Array.from({ length: 10_000 }, (_, n) => `u${n}@example.com`),
];

test('there are enough of bad input', () => {
  const lists = [cases.bad, cases.good, cases.literal, notOneAddress, badVariables];
  const count = lists.reduce((sum, list) => sum + list.length, 0);
  expect(count).toBeGreaterThanOrEqual(corpora['email-sending'].cases);
});

describe('an address', () => {
  test.each(
    [...cases.bad, `${'a'.repeat(1_000_000)}@example.com`, ...notOneAddress].map((to) => [
      JSON.stringify(to)?.slice(0, 60),
      to,
    ]),
  )('that is not one plain address ends as a dead letter, and no mail goes out: %s', async (_name, to) => {
    const { run, mails } = await send({ to, template: 'welcome' });
    expect(run.outcome).toEqual({ state: 'dead', code: 'PAYLOAD_INVALID' });
    expect(mails).toEqual([]);
  });

  test.each(cases.good)('is the only one of the envelope: %s', async (to) => {
    const { mails } = await send(welcome(to));
    expect(mails.map((mail) => mail.to)).toEqual([[shown(to)]]);
  });
});

const badVariables: readonly (readonly [string, unknown])[] = [
  ...[
    '\r\nBcc: evil@example.com',
    'a\nb',
    'a\rb',
    'a\u0000b',
    'a\u001bb',
    'a\u0085b',
    'a\u2028b',
    'a\u2029b',
    'a\u202Eb',
    'a\uD800b',
    '',
    '   ',
    'x'.repeat(101),
    'x'.repeat(10_000_000),
    7,
    null,
    {},
    ['x'],
  ].map((name) => ['welcome', { name }] as const),
  ...[
    'http://example.com',
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    '//example.com',
    'https://bank.example@evil.example/',
    'https://',
    'https://a b',
    `https://e.co/${'x'.repeat(3_000)}`,
    'object:t/-/a',
  ].map((link) => ['welcome', { link }] as const),
  ['welcome', { subject: 'x' }],
  ['welcome', { raw: 'x' }],
  ['welcome', { attachments: [{ path: '/etc/passwd' }] }],
  ['welcome', { html: { path: '/etc/passwd' } }],
  ['welcome', { __proto__: null, constructor: 'x' }],
  ['welcome', 'text'],
  ['welcome', []],
  ['receipt', {}],
  ['receipt', { ...receipt, total: 1.5 }],
  ['receipt', { ...receipt, total: Number.MAX_VALUE }],
  ['receipt', { ...receipt, currency: 'euro' }],
  ['receipt', { ...receipt, items: [] }],
  ['receipt', { ...receipt, items: Array.from({ length: 101 }, () => item) }],
  ['receipt', { ...receipt, items: [{ ...item, quantity: 0 }] }],
  ['receipt', { ...receipt, number: '1\r\nX-Evil: 1' }],
  ['receipt', { ...receipt, items: [{ ...item, href: 'file:///etc/passwd' }] }],
  ['unknown', {}],
  ['../../etc/passwd', {}],
  ['welcome.en', {}],
];

describe('variables', () => {
  test.each(
    badVariables.map(([template, variables]) => [template, JSON.stringify(variables)?.slice(0, 60), variables]),
  )('of %s that its schema does not know end as a dead letter: %s', async (template, _name, variables) => {
    const { run, mails } = await send({ to: 'ada@example.com', template, variables });
    expect(run.outcome).toEqual({ state: 'dead', code: 'PAYLOAD_INVALID' });
    expect(mails).toEqual([]);
  });

  test.each(['raw', 'from', 'cc', 'bcc', 'envelope', 'attachments', 'headers', 'html', 'subject', 'replyTo'])(
    'are the only way in: the field %s is refused',
    async (field) => {
      const { run } = await send({ ...welcome('ada@example.com'), [field]: 'evil@example.com' });
      expect(run.outcome).toEqual({ state: 'dead', code: 'PAYLOAD_INVALID' });
    },
  );

  test.each(cases.literal)('come out as they were written: %s', async (name) => {
    const { run, mails } = await send(welcome('ada@example.com', { name }));
    expect(run.outcome).toEqual({ state: 'done' });
    const mail = await PostalMime.parse(mails[0]?.source ?? '');
    expect(mail.text?.normalize()).toContain(name.normalize());
    expect(mail.html).not.toMatch(/<script|<img|onmouseover='/);
    expect(mail.html).not.toContain('49');
    // A reader may decode a name that is itself an encoded word; it stays text of the one subject line.
    expect(mail.subject).toBe(name.startsWith('=?') ? 'Welcome, Bcc:' : `Welcome, ${name}`);
    expect(mail.to?.map((one) => one.address)).toEqual(['ada@example.com']);
    expect(mail.cc ?? mail.bcc).toBeUndefined();
  });
});

test('no text that the schema lets through changes envelope or headers', async () => {
  const piece = fc.constantFrom(
    '\r\n',
    '\n',
    'Bcc: ',
    ':',
    '<',
    '>',
    '@',
    ',',
    '"',
    '%>',
    '<%=',
    '&',
    '.\r\n',
    ' ',
    'é',
    '=?',
    '?=',
  );
  const hostile = fc.array(fc.oneof(fc.string({ unit: 'binary', maxLength: 8 }), piece), { maxLength: 8 });
  const names = hostile.map((parts) => parts.join(''));
  const to = fc.oneof(
    fc.constant('ada@example.com'),
    names.map((text) => `ada@example.com${text}`),
    names.map((text) => `${text}@example.com`),
  );
  await fc.assert(
    fc.asyncProperty(to, names, async (address, name) => {
      const payload = { to: address, template: 'receipt', variables: { ...receipt, number: name } };
      const accepted = emailSending.payload.safeParse(payload).success;
      const { run, mails } = await send(payload);
      expect(run.outcome.state).toBe(accepted ? 'done' : 'dead');
      expect(mails.map((mail) => mail.to)).toEqual(accepted ? [[address]] : []);
      for (const { source } of mails) {
        const mail = await PostalMime.parse(source);
        expect(new Set(mail.headers.map(({ key }) => key))).toEqual(headerNames);
        expect(mail.to).toMatchObject([{ address }]);
      }
    }),
    { numRuns: 300, seed: 20_261_121 },
  );
}, 60_000);

const headerNames = new Set(
  'from to subject message-id date mime-version content-type content-language auto-submitted'.split(' '),
);
