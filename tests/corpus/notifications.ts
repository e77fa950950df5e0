/** Notifications that must be refused, and ones that look odd and are fine. Each with the one thing that is odd about it. */

type Case = readonly [name: string, payload: unknown];

const user = { userId: 'user_1' };
const shown = { ...user, title: 'T', body: 'B' };
const sms = { ...user, channel: 'sms', to: '+919812345678', body: 'B' };
const token = 'registration-token:0123456789';
const app = { ...shown, channel: 'push', to: token };
const keys = {
  p256dh: Buffer.alloc(65, 4).toString('base64url'),
  auth: Buffer.alloc(16, 1).toString('base64url'),
};
const web = { ...shown, channel: 'push', to: { endpoint: 'https://push.example.com/1', keys } };
const hook = { ...user, channel: 'webhook', to: 'https://hooks.example.com/in' };
const note = { ...shown, channel: 'in-app' };

const all: readonly (readonly [string, Record<string, unknown>])[] = [
  ['sms', sms],
  ['push to an app', app],
  ['push to a browser', web],
  ['webhook', hook],
  ['in-app', note],
];
const each = (field: string, values: readonly unknown[], of = all): Case[] =>
  of.flatMap(([name, payload]) =>
    values.map(
      (value) => [`${name}: ${field} ${JSON.stringify(value)?.slice(0, 40)}`, { ...payload, [field]: value }] as const,
    ),
  );
const forbidden = [
  'a\u0000b',
  'a\u001bb',
  'a\u0085b',
  'a\u2028b',
  'a\u202Eb',
  'a\u2066b',
  'a\uD800b',
  '',
  '   ',
  7,
  null,
  {},
  ['x'],
];
const badLinks = [
  'javascript:alert(1)',
  'JaVaScRiPt:alert(1)',
  ' javascript:alert(1)',
  'data:text/html,x',
  'file:///etc/passwd',
  'http://example.com/',
  '//example.com/',
  'https://bank.example@evil.example/',
  'https://',
  'https://a b',
  `https://example.com/${'x'.repeat(2_048)}`,
  'intent://x#Intent;scheme=https;end',
  7,
];
const showing = all.filter(([name]) => name.startsWith('push') || name === 'in-app');
const disturbing = all.filter(([name]) => name.startsWith('push') || name === 'sms');

/** Refused by the schema: never stored when they come by the API, a dead letter `PAYLOAD_INVALID` in a worker. */
export const refused: readonly Case[] = [
  ['nothing', null],
  ['a list', []],
  ['a text', 'sms'],
  ['no channel', shown],
  ...['email', 'Push', 'SMS', 'push ', 'fax', '__proto__', '', 7, null].map(
    (channel) => [`channel ${JSON.stringify(channel)}`, { ...shown, to: token, channel }] as const,
  ),
  ...each('userId', ['', 'a b', 'a\n', 'x'.repeat(129), '😀', 7, null, '../x', '<x>']),
  ...each('unknown', [1]),
  ...each('constructor', [1], [['sms', sms]]),
  ...each('title', ['two\nlines', ...forbidden], showing),
  ...each('title', ['x'.repeat(201)], showing),
  ...each('body', ['x'.repeat(2_001), 'a\rb', ...forbidden], showing),
  ...each('body', ['x'.repeat(1_601)], [['sms', sms]]),
  ...each('link', badLinks, showing.slice(0, 1)),
  ...each('data', [{ 'a b': 'x' }, { a: 1 }, { a: 'x'.repeat(1_025) }, [], 'x', { '': 'x' }], showing),
  ...each('data', [Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`k${n}`, 'v']))], showing),
  ...each(
    'to',
    [
      '98123',
      '+0123456789',
      '+91 98123 45678',
      'tel:+919812345678',
      '+9198123456789012',
      '＋919812345678',
      '+919812345678\n',
      ['+919812345678'],
      '',
    ],
    [['sms', sms]],
  ),
  ...each(
    'to',
    ['short', 'x'.repeat(4_097), 'with space in the middle of it', 'token\nof-twenty-characters', { token }, 7, ''],
    [['push', app]],
  ),
  ...each(
    'to',
    [
      {},
      { endpoint: 'https://push.example.com/1' },
      { endpoint: 'http://push.example.com/1', keys },
      { endpoint: 'https://user@push.example.com/1', keys },
      { endpoint: 'nonsense', keys },
      { endpoint: 'https://push.example.com/1', keys: { ...keys, p256dh: 'AAAA' } },
      { endpoint: 'https://push.example.com/1', keys: { ...keys, auth: 'AAAA' } },
      { endpoint: 'https://push.example.com/1', keys: { ...keys, auth: '%%%%' } },
      { endpoint: 'https://push.example.com/1', keys: { ...keys, more: 'x' } },
      { endpoint: 'https://push.example.com/1', keys, expirationTime: 'soon' },
      { endpoint: 'https://push.example.com/1', keys, more: 1 },
    ],
    [['push', web]],
  ),
  ...each(
    'to',
    [
      'http://hooks.example.com/in',
      'ftp://hooks.example.com/in',
      'https://user:secret@hooks.example.com/in',
      'https://hooks.example.com/a b',
      'http://localhost.evil.example/',
      'http://127.0.0.1.evil.example/',
      `https://hooks.example.com/${'x'.repeat(2_048)}`,
      'hooks.example.com',
      '',
      7,
      ['https://a.example/', 'https://b.example/'],
    ],
    [['webhook', hook]],
  ),
  ...each('event', ['', 'a b', 'x'.repeat(101), 'a\nb', 7], [['webhook', hook]]),
  ...each('ttlSeconds', [-1, 1.5, 2_419_201, '60', null], [['push', app]]),
  ...each('urgent', ['yes', 1, null], disturbing.slice(0, 1)),
  ...each(
    'quietHours',
    [
      {},
      { from: '22:00' },
      { from: '24:00', to: '07:00' },
      { from: '7:00', to: '08:00' },
      { from: '22:00', to: '22:00' },
      { from: '22:00', to: '07:00', timeZone: 'Mars/Olympus' },
      { from: '22:00', to: '07:00', timeZone: '' },
      { from: '22:00', to: '07:00', days: 'all' },
      '22:00-07:00',
    ],
    [['sms', sms]],
  ),
];

/** Odd, and accepted as they are. */
export const accepted: readonly Case[] = [
  ...each(
    'body',
    [
      '😀'.repeat(100),
      'مرحبا بالعالم',
      'שלום',
      'नमस्ते',
      'a\nb',
      '{{7*7}} ${x} <%= y %>',
      '<script>alert(1)</script>',
      'e\u0301',
      '👨‍👩‍👧‍👦',
    ],
    [
      ['sms', sms],
      ['in-app', note],
    ],
  ),
  ...each('to', ['+14155552671', '+919812345678'], [['sms', sms]]),
  ...each('userId', ['user_1', 'ada@example.com', 'a', 'A.b:c-d', 'x'.repeat(128)], [['in-app', note]]),
];
