import { assert, constantFrom, property, string, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keepLastFour, mask, maskText } from './mask.ts';

describe('by key name', () => {
  test('hides secrets at any depth, whatever the key looks like', () => {
    expect(
      mask({
        user: { password: 'p', apiKey: 'k', 'x-api-key': 'k', Authorization: 'Bearer x', otp: 123456, pin: '1234' },
        list: [{ refresh_token: 't' }, { cookie: ['a', 'b'] }],
      }),
    ).toEqual({
      user: {
        password: '[redacted]',
        apiKey: '[redacted]',
        'x-api-key': '[redacted]',
        Authorization: '[redacted]',
        otp: '[redacted]',
        pin: '[redacted]',
      },
      list: [{ refresh_token: '[redacted]' }, { cookie: '[redacted]' }],
    });
  });

  test('keeps the last four of typed numbers and their separators', () => {
    expect(
      mask({ bank_account: '1234567890123456', phone: 9876543210, aadhaar: '2341 2341 2346', pan: 'AAPPV8261K' }),
    ).toEqual({ bank_account: '************3456', phone: '******3210', aadhaar: '**** **** 2346', pan: '******261K' });
    expect(keepLastFour('1234')).toBe('****');
  });

  test('leaves what only looks like such a key', () => {
    const value = {
      shipping: 'x',
      company: 'Panasonic',
      pinCode: '560001',
      span: 1,
      discard: true,
      keyboard: 'us',
      at: 1795219200007,
    };
    expect(mask(value)).toEqual(value);
  });
});

describe('values', () => {
  test('survives cycles, depth, buffers, errors and hostile keys without touching the input', () => {
    const cycle: Record<string, unknown> = { a: 1 };
    cycle['self'] = cycle;
    expect(mask(cycle)).toEqual({ a: 1, self: '[circular]' });
    let deep: unknown = 1;
    for (let level = 0; level < 100; level += 1) deep = [deep];
    expect(JSON.stringify(mask(deep))).toContain('[too deep]');
    expect(mask({ body: Buffer.alloc(5), when: new Date(0), big: 5n, run: () => 1 })).toEqual({
      body: '[5 bytes]',
      when: '1970-01-01T00:00:00.000Z',
      big: '5',
      run: '[function]',
    });
    expect(mask(new Map([['token', 'x']]))).toEqual({ token: '[redacted]' });
    const hostile: unknown = JSON.parse('{"__proto__":{"admin":true}}');
    expect(Object.keys(mask(hostile) ?? {})).toEqual(['__proto__']);
    expect(
      mask(
        Object.assign(new Error('mail ada@example.com', { cause: new Error('pw=1 password=hunter2') }), { code: 'X' }),
      ),
    ).toMatchObject({
      type: 'Error',
      message: 'mail a***@example.com',
      code: 'X',
      cause: { message: 'pw=1 password=[redacted]' },
    });
  });
});

describe('in text', () => {
  test.each([
    ['ask ada.lovelace@example.com now', 'ask a***@example.com now'],
    ['<ada@mail.example.co.in>', '<a***@mail.example.co.in>'],
    ['"ada lovelace"@example.com', '***@example.com'],
    ['postgres://jobs:s3cr/et@db:5432/x', 'postgres://jobs:s3cr/et@db:5432/x'],
    ['postgres://jobs:s3cret@db:5432/x', 'postgres://jobs:[redacted]@db:5432/x'],
    ['redis://:pass@h:1', 'redis://:[redacted]@h:1'],
    ['GET /a?token=abc&x=1', 'GET /a?token=[redacted]&x=1'],
    ['https://b.s3/k?X-Amz-Signature=ff&X-Amz-Date=1', 'https://b.s3/k?X-Amz-Signature=[redacted]&X-Amz-Date=1'],
    ['/v1/objects/abc.def/t/-/x.mp4', '/v1/objects/[signed]/t/-/x.mp4'],
    ['authorization: Bearer abcdef123456', 'authorization: Bearer [redacted]'],
    ['{"authorization":"Bearer abcdef123456"}', '{"authorization":"Bearer [redacted]"}'],
    [
      'Account No. 00030340067212 GSTIN 06AABCO6063D1ZQ Phone: 080 100 444 66',
      'Account No. **********7212 GSTIN ***********D1ZQ Phone: *** *** *44 66',
    ],
    ['{"password":"a b c","n":1}', '{"password":[redacted]","n":1}'],
    ['key jf_live_abcdefghij_0123456789abcdefghij0123456789abcd', 'key [redacted]'],
    ['card 4111 1111 1111 1111 123', 'card **** **** **** 1111 123'],
    ['call +44 20 7946 0958', 'call +** ** **** 0958'],
    ['mobile 9876543210', 'mobile ******3210'],
    ['aadhaar no 234123412346', 'aadhaar no ********2346'],
    ['IBAN GB82 WEST 1234 5698 7654 32 PAID', 'IBAN **** **** **** **** **54 32 PAID'],
    ['account 1234567890123456', 'account ************3456'],
  ])('%s', (text, masked) => {
    expect(maskText(text)).toBe(masked);
  });

  test.each([
    'job email-sending_01JD8Z0000000000000000000A attempt 2 of 4',
    'took 1795219200007 ms at 2026-11-21 14:50:41',
    'sharp@0.35.5 and @fastify/helmet',
    '01979b2e-7c1f-7a3e-9a62-1f2d3c4b5a69',
    'order 411111111111111a 9876543210x',
    'root@localhost',
  ])('leaves "%s"', (text) => {
    expect(maskText(text)).toBe(text);
  });

  test('no planted secret survives, whatever stands around it (P10)', () => {
    const secrets = constantFrom(
      ['ada.lovelace@example.com', 'ada.lovelace'],
      ['https://ops:hunter2hunter2@db.example.com/x', 'hunter2hunter2'],
      ['27AAPFU0939F1ZV', 'AAPFU0939F'],
      ['password=correcthorse', 'correcthorse'],
      ['4111 1111 1111 1111', '4111 1111 1111'],
    );
    const around = string({ maxLength: 30 });
    assert(
      property(tuple(around, secrets, around), ([before, [text = '', hidden = ''], after]) => {
        return !maskText(`${before} ${text} ${after}`).includes(hidden);
      }),
      { numRuns: 2_000 },
    );
  });

  test('is linear: 50 KB of hostile text take a few milliseconds (P16)', () => {
    const hostile = [
      'a',
      '@',
      'a@',
      '1 ',
      '1-',
      '1:',
      'eyJ-',
      '://a:',
      'password=',
      'password="\\',
      'AB12',
      'AB12 CDEF ',
      '+1',
      '?token=',
      'a.',
      '4111 ',
    ];
    const slow = hostile.filter((piece) => {
      const text = `${piece.repeat(Math.ceil(50_000 / piece.length))}!`;
      // CPU time: the machine may be busy with something else.
      const before = process.cpuUsage();
      maskText(text);
      const { user, system } = process.cpuUsage(before);
      return user + system > 150_000;
    });
    expect(slow).toEqual([]);
  });
});
