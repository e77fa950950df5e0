/** Every channel of one handler against the receivers that are started here once; long because each channel fails in ways of its own. */
import type { IncomingMessage } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { generateVAPIDKeys } from 'web-push';
import {
  answer,
  madeUpSecret,
  makeDevice,
  openGoogle,
  openReceiver,
  type Receiver,
  standardSignature,
  verifyVapid,
} from '../../tests/support/receivers.ts';
import { runJob } from '../../workers/testing.ts';
import { memoryRecords } from '../../workers/testing-records.ts';
import handler from './handler.ts';

const vapid = generateVAPIDKeys();
const authToken = 'twilio-auth-token-of-the-test';
const [newSecret, oldSecret] = [madeUpSecret('n'), madeUpSecret('o')];
const token = 'fcm-registration-token:1234567890';

let receiver: Receiver;
let google: Awaited<ReturnType<typeof openGoogle>>;
beforeAll(async () => {
  [receiver, google] = await Promise.all([openReceiver(answer(201)), openGoogle()]);
});
afterEach(() => {
  receiver.respond(answer(201));
  receiver.received.length = 0;
  google.respond(answer(200, {}, { name: 'projects/demo-project/messages/1' }));
  google.respondToTokens(undefined);
  google.received.length = 0;
});
afterAll(async () => {
  await receiver.close();
  await google.close();
});

const environment = () => ({
  FCM_SERVICE_ACCOUNT: google.account,
  FCM_URL: google.url,
  TWILIO_ACCOUNT_SID: 'AC1',
  TWILIO_AUTH_TOKEN: authToken,
  TWILIO_FROM: '+15005550006',
  TWILIO_URL: receiver.url,
  VAPID_PRIVATE_KEY: vapid.privateKey,
  VAPID_PUBLIC_KEY: vapid.publicKey,
  VAPID_SUBJECT: 'mailto:ops@example.com',
  WEBHOOK_SECRETS: `${receiver.host}=${newSecret},${oldSecret}`,
});

/** One attempt; what came of it and every text it wrote. */
async function send(payload: unknown, options: Parameters<typeof runJob>[2] = {}) {
  const http = { allow: [receiver.host, google.host] };
  await using run = await runJob(handler, payload, { env: environment(), http, ...options });
  const written = JSON.stringify([run.logs, run.result, run.error?.message, run.error?.stack, run.progress]);
  return { outcome: run.outcome, result: run.result, error: run.error, documents: run.documents, written };
}

const device = makeDevice();
const user = { userId: 'user_1', title: 'Wicket', body: 'Kohli b. Starc 76' };
const sms = { ...user, channel: 'sms', to: '+919812345678' };
const fcm = { ...user, channel: 'push', to: token };
const webhook = () => ({ userId: 'user_1', channel: 'webhook', to: `${receiver.url}/in`, data: { b: 1, a: [2] } });
const webPush = (more: object = {}) => ({
  ...user,
  channel: 'push',
  to: { endpoint: `${receiver.url}/push/secret-of-the-device`, expirationTime: null, keys: device.keys },
  ...more,
});
const done = { state: 'done' };
const sent = (providerId: string | null) => ({ status: 'sent', providerId });

describe('a push to a browser', () => {
  test('is read by the device it was encrypted for, and says who sent it', async () => {
    receiver.respond(answer(201, { location: `${receiver.url}/messages/m_1` }));
    const { outcome, result, written } = await send(webPush({ link: 'https://example.com/m/1', data: { match: '1' } }));
    expect([outcome, result]).toEqual([done, sent('m_1')]);
    const [request] = receiver.received;
    if (request === undefined) throw new Error('nothing came');
    expect(JSON.parse(device.decrypt(request.body))).toEqual({
      id: 'notification-sending_TEST',
      title: 'Wicket',
      body: 'Kohli b. Starc 76',
      link: 'https://example.com/m/1',
      data: { match: '1' },
    });
    expect(() => makeDevice().decrypt(request.body)).toThrow('unable to authenticate');
    expect(await verifyVapid(request, receiver.url)).toEqual({
      key: vapid.publicKey,
      subject: 'mailto:ops@example.com',
    });
    expect(request.headers).toMatchObject({ 'content-encoding': 'aes128gcm', ttl: '86400', urgency: 'normal' });
    expect(request.headers['topic']).toMatch(/^[\w-]{32}$/);
    for (const secret of ['secret-of-the-device', device.keys.auth, vapid.privateKey])
      expect(written).not.toContain(secret);
  });

  test.each(['😀🏏', 'हैट्रिक', 'مرحبا', 'e\u0301', 'a\nb'])('keeps its letters: %j', async (body) => {
    expect((await send(webPush({ body }))).outcome).toEqual(done);
    expect(JSON.parse(device.decrypt(receiver.received[0]?.body ?? Buffer.alloc(0)))).toMatchObject({ body });
  });

  test('of more than 4 KB is refused before anybody is asked', async () => {
    const { outcome } = await send(webPush({ body: '😀'.repeat(1_000) }));
    expect(outcome).toEqual({ state: 'dead', code: 'LIMIT_EXCEEDED' });
    expect(receiver.received).toEqual([]);
  });

  test('to a key that is no point of the curve is refused without repeating it', async () => {
    const p256dh = Buffer.alloc(65, 7).toString('base64url');
    const { outcome, written } = await send(
      webPush({ to: { endpoint: `${receiver.url}/x`, keys: { p256dh, auth: device.keys.auth } } }),
    );
    expect(outcome).toEqual({ state: 'dead', code: 'BAD_SOURCE' });
    expect(written).not.toContain(p256dh);
  });

  test('to a subscription whose time has passed is not sent', async () => {
    const { result } = await send(
      webPush({ to: { endpoint: `${receiver.url}/x`, expirationTime: 1_000, keys: device.keys } }),
    );
    expect(result).toEqual({ status: 'gone', providerId: null });
    expect(receiver.received).toEqual([]);
  });
});

describe('a push to an app', () => {
  test('is sent under a bought access, which serves the next ones too', async () => {
    const before = google.sold();
    const opened = await handler.open(environment());
    const shared = { ...handler, open: async () => ({ run: opened.run, close: async () => {} }) };
    const http = { allow: [google.host] };
    const runs = ['1', '2', '3'].map(async (id) => {
      await using run = await runJob(shared, { ...fcm, link: 'https://example.com/', data: { a: 'b' } }, { id, http });
      return run.result;
    });
    expect(await Promise.all(runs)).toEqual(Array.from(runs, () => sent('projects/demo-project/messages/1')));
    expect(google.sold()).toBe(before + 1);
    expect(JSON.parse(google.messages()[0]?.body.toString() ?? '')).toMatchObject({
      message: {
        token,
        notification: { title: 'Wicket', body: 'Kohli b. Starc 76' },
        data: { a: 'b', link: 'https://example.com/' },
        android: { priority: 'NORMAL', ttl: '86400s' },
      },
    });
  });

  test('of a token that is unregistered is the end of that token', async () => {
    google.respond(answer(404, {}, { error: { status: 'NOT_FOUND', details: [{ errorCode: 'UNREGISTERED' }] } }));
    const { result, documents } = await send(fcm);
    expect(result).toEqual({ status: 'gone', providerId: null });
    const kept = JSON.stringify(await documents.page('gone_recipients', {}));
    expect(kept).toContain('"channel":"push"');
    expect(kept).not.toContain(token);
  });

  test.each([
    [400, 'INVALID_ARGUMENT', { state: 'dead', code: 'HTTP_400' }],
    [403, 'SENDER_ID_MISMATCH', { state: 'dead', code: 'HTTP_403' }],
    [404, 'NOT_FOUND', { state: 'dead', code: 'HTTP_404' }],
    [429, 'QUOTA_EXCEEDED', { state: 'later', code: 'HTTP_429', delayMs: 30_000 }],
    [401, 'UNAUTHENTICATED', { state: 'retry', code: 'HTTP_401' }],
    [500, 'INTERNAL', { state: 'retry', code: 'HTTP_500' }],
  ])('that Google answers with %i %s', async (status, errorCode, outcome) => {
    google.respond(answer(status, {}, { error: { status: 'X', details: [{ errorCode }], message: `about ${token}` } }));
    const tried = await send(fcm);
    expect(tried.outcome).toMatchObject(outcome);
    expect(tried.error?.message).toContain(errorCode);
    expect(tried.written).not.toContain(token);
  });

  test.each([400, 500, 503])('waits while no access is sold: %i', async (status) => {
    google.respondToTokens(answer(status, {}, 'no'));
    const { outcome, written } = await send(fcm);
    expect(outcome).toMatchObject({ state: 'retry', code: `HTTP_${status}` });
    expect(written).not.toContain('PRIVATE KEY');
    expect(google.messages()).toEqual([]);
  });

  test.each([
    ['is cut', 'NETWORK', (_response: unknown, _one: unknown, { socket }: IncomingMessage) => socket.destroy()],
    ['hangs', 'TIMED_OUT', () => undefined],
  ])('is sent by the next attempt when the sale of access %s', async (_how, code, respond) => {
    const records = memoryRecords();
    google.respondToTokens(respond);
    const hasty = { ...handler, job: { ...handler.job, policy: { ...handler.job.policy, timeoutMs: 500 } } };
    const options = { env: environment(), http: { allow: [google.host] }, records };
    await using first = await runJob(hasty, fcm, options);
    expect(first.outcome).toMatchObject({ state: 'retry', code });
    google.respondToTokens(undefined);
    await using second = await runJob(handler, fcm, { ...options, attempt: 2 });
    expect(second.result).toMatchObject({ status: 'sent' });
    expect(google.messages()).toHaveLength(1);
  });

  test('does not fail because the job that buys access for all is cancelled', async () => {
    const opened = await handler.open(environment());
    const shared = { ...handler, open: async () => ({ run: opened.run, close: async () => {} }) };
    const http = { allow: [google.host] };
    let cancel: (() => void) | undefined;
    const asked = new Promise<void>((resolve) => {
      google.respondToTokens(() => resolve());
    });
    const buyer = runJob(shared, fcm, {
      id: 'buyer',
      http,
      onStart: (running) => void (cancel = () => running.abort('CANCELLED', 5_000)),
    });
    await asked;
    let others = 0;
    let runs: ReturnType<typeof runJob>[] = [];
    const waiting = new Promise<void>((resolve) => {
      const onStart = () => (others += 1) === 3 && resolve();
      runs = ['1', '2', '3'].map((id) => runJob(shared, fcm, { id, http, onStart }));
    });
    await waiting;
    google.respondToTokens(undefined);
    cancel?.();
    await using cancelled = await buyer;
    expect(cancelled.outcome).toMatchObject({ state: 'cancelled' });
    for (const running of runs) {
      await using run = await running;
      expect(run.result).toMatchObject({ status: 'sent' });
    }
    expect(google.messages()).toHaveLength(3);
  });
});

describe('a text message', () => {
  test('is posted as a form, under the account', async () => {
    receiver.respond(answer(201, {}, { sid: 'SM1' }));
    const { result, written } = await send({ ...sms, link: 'https://example.com/1' });
    expect(result).toEqual(sent('SM1'));
    const [request] = receiver.received;
    expect(request?.path).toBe('/2010-04-01/Accounts/AC1/Messages.json');
    expect(request?.headers['authorization']).toBe(`Basic ${Buffer.from(`AC1:${authToken}`).toString('base64')}`);
    expect(Object.fromEntries(new URLSearchParams(request?.body.toString()))).toEqual({
      To: sms.to,
      From: '+15005550006',
      Body: 'Wicket\nKohli b. Starc 76\nhttps://example.com/1',
    });
    expect(written).not.toContain(authToken);
    expect(written).not.toContain(sms.to);
  });

  test('comes from a messaging service where that is set', async () => {
    await send(sms, { env: { ...environment(), TWILIO_FROM: 'MG123' } });
    expect(new URLSearchParams(receiver.received[0]?.body.toString()).get('MessagingServiceSid')).toBe('MG123');
  });

  test.each([
    [400, { code: 21_610 }, {}, done],
    [400, { code: 21_211 }, {}, done],
    [400, { code: 21_603 }, {}, { state: 'dead', code: 'HTTP_400' }],
    [401, {}, {}, { state: 'retry', code: 'HTTP_401' }],
    [429, {}, { 'retry-after': '17' }, { state: 'later', code: 'HTTP_429', delayMs: 17_000 }],
    [503, {}, { 'retry-after': '9' }, { state: 'later', code: 'HTTP_503', delayMs: 9_000 }],
    [500, 'no json', {}, { state: 'retry', code: 'HTTP_500' }],
    [302, {}, { location: 'http://169.254.169.254/' }, { state: 'dead', code: 'HTTP_302' }],
  ])('that the provider answers with %i %j %j', async (status, body, headers, outcome) => {
    receiver.respond(answer(status, headers, body));
    expect((await send(sms)).outcome).toMatchObject(outcome);
    expect(receiver.received).toHaveLength(1);
  });

  test('that hangs or drips ends with the attempt', async () => {
    const drips: NodeJS.Timeout[] = [];
    receiver.respond((response) => void drips.push(setInterval(() => response.write(' '), 10)));
    const { outcome } = await send(sms, { onStart: (run) => void setTimeout(() => run.abort('TIMED_OUT', 1), 200) });
    for (const drip of drips) clearInterval(drip);
    expect(outcome).toMatchObject({ state: 'retry', code: 'TIMED_OUT' });
  });
});

describe('at most once', () => {
  const cases = [
    ['sms', () => sms, () => receiver, () => receiver.received],
    ['push to a browser', () => webPush(), () => receiver, () => receiver.received],
    // Access that is bought again is no message.
    ['push to an app', () => fcm, () => google, () => google.messages()],
  ] as const;

  test.each(cases)(
    '%s: a second attempt repeats nothing and answers the same',
    async (_name, payload, _where, messages) => {
      const records = memoryRecords();
      const first = await send(payload(), { records });
      const count = messages().length;
      const second = await send(payload(), { records, attempt: 2 });
      expect(second.result).toEqual(first.result);
      expect(messages()).toHaveLength(count);
    },
  );

  test.each(cases)('%s: what was certainly not sent is sent by the next attempt', async (_name, payload, where) => {
    for (const status of [429, 500, 503]) {
      const records = memoryRecords();
      where().respond(answer(status));
      expect((await send(payload(), { records })).outcome.state).not.toBe('done');
      where().respond(answer(200));
      expect((await send(payload(), { records, attempt: 2 })).result).toMatchObject({ status: 'sent' });
    }
  });

  test.each(cases)('%s: what may have been sent is not sent again', async (_name, payload, where, messages) => {
    const records = memoryRecords();
    where().respond((_response, _received, request) => request.socket.destroy());
    expect((await send(payload(), { records })).outcome).toMatchObject({ state: 'retry', code: 'NETWORK' });
    where().respond(answer(200));
    const count = messages().length;
    expect((await send(payload(), { records, attempt: 2 })).result).toEqual({ status: 'unknown', providerId: null });
    expect(messages()).toHaveLength(count);
  });
});

describe('a webhook', () => {
  const noHeaders: Record<string, string> = {};
  const verify = (secret: string) => {
    const { headers, body } = receiver.received[0] ?? { headers: noHeaders, body: Buffer.alloc(0) };
    const {
      'webhook-id': id = '',
      'webhook-timestamp': timestamp = '',
      'webhook-signature': signatures = '',
    } = headers;
    return signatures.split(' ').includes(standardSignature(secret, id, timestamp, body.toString()));
  };

  test('is signed by every secret of its endpoint, over the text that is sent', async () => {
    receiver.respond(answer(204));
    const { result, written } = await send({ ...webhook(), event: 'match.ended', title: 'T' });
    expect(result).toEqual(sent('notification-sending_TEST'));
    expect([verify(newSecret), verify(oldSecret), verify(madeUpSecret('x'))]).toEqual([true, true, false]);
    expect(JSON.parse(receiver.received[0]?.body.toString() ?? '')).toEqual({
      type: 'match.ended',
      timestamp: expect.stringMatching(/^\d{4}-/),
      data: { id: 'notification-sending_TEST', userId: 'user_1', title: 'T', data: { b: 1, a: [2] } },
    });
    expect(receiver.received[0]?.headers['content-type']).toBe('application/json');
    for (const secret of [newSecret, oldSecret]) expect(written).not.toContain(secret);
  });

  test('that was not taken is tried again under the same id and text, after the steps of the standard', async () => {
    const records = memoryRecords();
    receiver.respond(answer(500));
    const first = await send(webhook(), { records });
    expect(first.outcome).toMatchObject({ state: 'later', code: 'HTTP_500' });
    if (first.outcome.state !== 'later') throw new Error('unreachable');
    expect(first.outcome.delayMs).toBeGreaterThan(4_000);
    expect(first.outcome.delayMs).toBeLessThanOrEqual(5_500);
    // Back too early (its worker was killed before it was put off): not tried, put off for the rest.
    const early = await send(webhook(), { records });
    expect(early.outcome).toMatchObject({ state: 'later', code: 'HTTP_500' });
    expect(receiver.received).toHaveLength(1);
  });

  test.each([
    [200, done],
    [202, done],
    [204, done],
    [301, { state: 'later', code: 'HTTP_301' }],
    [307, { state: 'later', code: 'HTTP_307' }],
    [400, { state: 'later', code: 'HTTP_400' }],
    [404, { state: 'later', code: 'HTTP_404' }],
    [410, done],
    [429, { state: 'later', code: 'HTTP_429' }],
    [502, { state: 'later', code: 'HTTP_502' }],
  ])('answered with %i', async (status, outcome) => {
    receiver.respond(answer(status, { location: `${receiver.url}/elsewhere` }));
    expect((await send(webhook())).outcome).toMatchObject(outcome);
    expect(receiver.received).toHaveLength(1);
  });

  test('whose endpoint answers 410 disables it: the next one is not sent', async () => {
    receiver.respond(answer(410));
    const first = await runJob(handler, webhook(), { env: environment(), http: { allow: [receiver.host] } });
    expect(first.result).toEqual({ status: 'gone', providerId: null });
    const { items } = await first.documents.page('gone_recipients', {});
    expect(items).toHaveLength(1);
    await first.close();
  });

  test.each([
    ['11', 11_000],
    ['a date', 3_598_000],
    ['-3', 0],
    ['99999999', 43_200_000],
    ['soon', 0],
  ])('respects Retry-After: %s', async (header, atLeastMs) => {
    const value = () => (header === 'a date' ? new Date(Date.now() + 3_600_000).toUTCString() : header);
    receiver.respond((response) => response.writeHead(503, { 'retry-after': value() }).end());
    const { outcome } = await send(webhook());
    if (outcome.state !== 'later') throw new Error(`expected later, got ${outcome.state}`);
    expect(outcome.delayMs).toBeGreaterThanOrEqual(Math.max(4_000, atLeastMs - 1_000));
    expect(outcome.delayMs).toBeLessThanOrEqual(43_200_000);
  });

  test('does not wait for a body without end', async () => {
    receiver.respond((response) => void response.writeHead(200).write('x'.repeat(100_000)));
    expect((await send(webhook())).outcome).toEqual(done);
  });

  test.each([
    ['cut', (request: { socket: { destroy: () => void } }) => request.socket.destroy()],
    ['no HTTP', (request: { socket: { end: (text: string) => void } }) => request.socket.end('hello\r\n\r\n')],
    [
      'switching protocols',
      (request: { socket: { end: (text: string) => void } }) =>
        request.socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    ],
  ])('that gets no answer is a try: %s', async (_name, act) => {
    receiver.respond((_response, _received, request) => act(request));
    expect((await send(webhook())).outcome).toMatchObject({ state: 'later', code: 'NETWORK' });
  });

  test('of 20 kB is refused', async () => {
    const { outcome } = await send({ ...webhook(), data: { text: 'x'.repeat(20_000) } });
    expect(outcome).toEqual({ state: 'dead', code: 'LIMIT_EXCEEDED' });
    expect(receiver.received).toEqual([]);
  });

  test.each(['https://10.0.0.1/', 'https://[::1]/', 'https://169.254.169.254/latest', 'https://2130706433/'])(
    'to %s reaches nobody',
    async (to) => {
      const env = { ...environment(), WEBHOOK_SECRETS: `*=${newSecret}` };
      expect((await send({ ...webhook(), to }, { env })).outcome).toEqual({ state: 'dead', code: 'FORBIDDEN_TARGET' });
    },
  );
});

describe('a note in the app', () => {
  const note = { ...user, channel: 'in-app', link: 'https://example.com/', data: { a: 'b' } };

  test('is kept once for its user, unread, and needs no variable', async () => {
    const first = await runJob(handler, note);
    expect(first.result).toEqual(sent('notification-sending_TEST'));
    expect((await first.documents.page('notifications', { filter: { userId: 'user_1' } })).items).toMatchObject([
      { _id: 'notification-sending_TEST', title: 'Wicket', body: 'Kohli b. Starc 76', readAt: null, data: { a: 'b' } },
    ]);
    await first.close();
  });
});

describe('quiet hours', () => {
  const now = new Date();
  const clock = (hours: number) => new Date(now.getTime() + hours * 3_600_000).toISOString().slice(11, 16);
  const quietHours = { from: clock(-1), to: clock(1), timeZone: 'UTC' };

  test.each([
    ['sms', () => ({ ...sms, quietHours })],
    ['push', () => webPush({ quietHours })],
  ])('put off %s, unless it is urgent', async (_name, payload) => {
    const { outcome } = await send(payload());
    expect(outcome).toMatchObject({ state: 'later', code: 'QUIET_HOURS' });
    expect('delayMs' in outcome ? outcome.delayMs : undefined).toBeLessThanOrEqual(3_600_000);
    expect(receiver.received).toEqual([]);
    expect((await send({ ...payload(), urgent: true })).outcome).toEqual(done);
  });

  test('of QUIET_HOURS hold for those that name none; webhooks are not people', async () => {
    const env = { ...environment(), QUIET_HOURS: `${quietHours.from}-${quietHours.to} UTC` };
    expect((await send(sms, { env })).outcome).toMatchObject({ code: 'QUIET_HOURS' });
    const own = { from: clock(2), to: clock(3), timeZone: 'UTC' };
    expect((await send({ ...sms, quietHours: own }, { env })).outcome).toEqual(done);
    expect((await send(webhook(), { env })).outcome).toEqual(done);
  });
});

describe('a channel without its variables', () => {
  test('is named before any job comes', () => {
    expect(Object.keys(handler.gaps({}))).toEqual(['push-app', 'sms', 'webhook', 'push-browser']);
    expect(handler.gaps(environment())).toEqual({});
    const { WEBHOOK_SECRETS: _left, ...rest } = environment();
    expect(handler.gaps(rest)).toEqual({ webhook: 'webhooks cannot be sent here: set WEBHOOK_SECRETS' });
  });

  test('is the part that its payloads need', () => {
    const partOf = (payload: unknown) => handler.job.parts?.of(handler.job.payload.parse(payload));
    const all = [fcm, webPush(), sms, webhook(), { ...user, channel: 'in-app' }].map(partOf);
    expect(all).toEqual(['push-app', 'push-browser', 'sms', 'webhook', 'in-app']);
    expect(new Set(all)).toEqual(new Set(handler.job.parts?.names));
  });

  test('that has keys which are no pair is refused at the start', () => {
    const { error } = handler.env.safeParse({ ...environment(), VAPID_PUBLIC_KEY: 'AAAA' });
    expect(error?.message).toContain('VAPID_PUBLIC_KEY');
  });

  test.each([
    ['sms', () => sms, 'TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_FROM'],
    ['webhook', webhook, 'WEBHOOK_SECRETS'],
    ['push to an app', () => fcm, 'FCM_SERVICE_ACCOUNT'],
    ['push to a browser', () => webPush(), 'VAPID_SUBJECT, VAPID_PUBLIC_KEY, VAPID_PRIVATE_KEY'],
  ])('waits for a worker that has them, and names them: %s', async (_name, payload, names) => {
    const { outcome, error } = await send(payload(), { env: {} });
    expect(outcome).toEqual({ state: 'later', code: 'CHANNEL_MISSING', delayMs: 60_000 });
    expect(error?.message).toContain(names);
  });

  test('names only what is missing, and an endpoint that nobody signs for', async () => {
    expect((await send(sms, { env: { TWILIO_ACCOUNT_SID: 'AC1' } })).error?.message).toContain(
      'set TWILIO_AUTH_TOKEN, TWILIO_FROM',
    );
    const env = { WEBHOOK_SECRETS: `other.example=${newSecret}` };
    expect((await send(webhook(), { env })).error?.message).toContain(receiver.host);
  });

  test.each([
    ['FCM_SERVICE_ACCOUNT', '{"private_key":"-----BEGIN PRIVATE KEY-----x"}'],
    ['FCM_SERVICE_ACCOUNT', 'not json with a secret'],
    ['WEBHOOK_SECRETS', 'example.com=whsec_c2hvcnQ='],
    ['QUIET_HOURS', '25:00-07:00'],
    ['VAPID_SUBJECT', 'nobody'],
    ['TWILIO_URL', 'ftp://x'],
  ])('is no reason to guess: %s %s is refused at the start, without being repeated', (name, value) => {
    const parsed = handler.env.safeParse({ [name]: value });
    expect(parsed.success).toBe(false);
    expect(parsed.error?.message).toContain(name);
    expect(parsed.error?.message).not.toContain(value);
  });
});
