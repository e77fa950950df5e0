import { describe, expect, test } from 'vitest';
import { exposureProblem, findUser, makeAdmin, mayAs, parseUsers } from './users.ts';

describe('DASHBOARD_USERS', () => {
  test('names people, roles and passwords, which may hold colons', () => {
    expect(parseUsers('vera:viewer:eight-or:more, ada:admin:12345678')).toEqual([
      { name: 'vera', role: 'viewer', password: 'eight-or:more' },
      { name: 'ada', role: 'admin', password: '12345678' },
    ]);
  });

  test.each([
    '',
    ',',
    'ada',
    'ada:admin',
    'ada:admin:',
    'ada:admin:short',
    'ada:root:12345678',
    ':admin:12345678',
    'a b:admin:12345678',
    'ada:admin:12345678,ada:viewer:12345678',
  ])('is refused without quoting it: %j', (text) => {
    let message = '';
    try {
      parseUsers(text);
    } catch (error) {
      message = String(error);
    }
    expect(message).toMatch(/expected|same name/);
    expect(message).not.toContain('12345678');
  });
});

test('a user is found by the right name and password only', () => {
  const users = [makeAdmin(), ...parseUsers('vera:viewer:12345678')];
  expect(findUser(users, 'vera', '12345678')?.role).toBe('viewer');
  expect(findUser(users, 'admin', users[0]?.password ?? '')?.role).toBe('admin');
  for (const [name, password] of [
    ['vera', '1234567'],
    ['vera', ''],
    ['admin', '12345678'],
    ['', '12345678'],
    ['Vera', '12345678'],
  ])
    expect(findUser(users, name ?? '', password ?? '')).toBeUndefined();
});

test('made admins have passwords of their own', () => {
  expect(makeAdmin().password).toMatch(/^[\w-]{20}$/);
  expect(makeAdmin().password).not.toBe(makeAdmin().password);
});

test('roles include those below them', () => {
  expect([mayAs('admin', 'operator'), mayAs('operator', 'operator'), mayAs('viewer', 'operator')]).toEqual([
    true,
    true,
    false,
  ]);
});

test.each([
  ['127.0.0.1', false],
  ['127.9.9.9', false],
  ['localhost', false],
  ['::1', false],
  ['0.0.0.0', true],
  ['::', true],
  ['192.168.1.7', true],
  ['127.0.0.1.example.com', true],
  ['board.example.com', true],
])('without users %s is refused: %s', (host, refused) => {
  expect(exposureProblem(host, undefined) !== undefined).toBe(refused);
  expect(exposureProblem(host, [makeAdmin()])).toBeUndefined();
});
