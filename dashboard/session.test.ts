import { expect, test } from 'vitest';
import { createSessions } from './session.ts';
import type { User } from './users.ts';

const ada: User = { name: 'ada', role: 'admin', password: '12345678' };
const cookieOf = (set: string) => set.slice(0, set.indexOf(';'));

test('a session lasts twelve hours', () => {
  let now = 1_000;
  const sessions = createSessions([ada], 'secret', () => now);
  const cookie = cookieOf(sessions.issue(ada, true));
  expect(sessions.read(`a=b; ${cookie}; c=d`)).toBe(ada);
  now += 12 * 3_600_000 - 1;
  expect(sessions.read(cookie)).toBe(ada);
  now += 1;
  expect(sessions.read(cookie)).toBeUndefined();
});

test('is Secure over TLS', () => {
  const sessions = createSessions([ada], 'secret');
  expect([sessions.issue(ada, true), sessions.issue(ada, false)].map((set) => set.includes('; Secure'))).toEqual([
    true,
    false,
  ]);
});

test('ends with the secret, the password and the user', () => {
  const cookie = cookieOf(createSessions([ada], 'secret').issue(ada, false));
  expect(createSessions([ada], 'other').read(cookie)).toBeUndefined();
  expect(createSessions([{ ...ada, password: 'changed1' }], 'secret').read(cookie)).toBeUndefined();
  expect(createSessions([{ ...ada, name: 'bob' }], 'secret').read(cookie)).toBeUndefined();
});

test.each([
  undefined,
  '',
  'jobfleet_session=',
  'jobfleet_session=a.b',
  `jobfleet_session=${'a'.repeat(300)}.${'b'.repeat(43)}`,
])('nothing is read from %s', (header) => {
  expect(createSessions([ada], 'secret').read(header)).toBeUndefined();
});
