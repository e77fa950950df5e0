/** Who may use the dashboard, and what each role may do. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';

/** `viewer` looks; `operator` also adds, retries, edits and removes jobs, pauses queues; `admin` also empties and deletes queues. */
export type Role = 'viewer' | 'operator' | 'admin';

export interface User {
  readonly name: string;
  readonly role: Role;
  readonly password: string;
}

const roles: readonly Role[] = ['viewer', 'operator', 'admin'];

/** True when `role` may do what `needed` may. */
export function mayAs(role: Role, needed: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(needed);
}

/** Reads `name:role:password,…`. A password may hold colons, no commas, and has 8 characters or more. Throws one sentence that quotes no password. */
export function parseUsers(text: string): readonly User[] {
  const users = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry, index) => {
      const [name = '', given = '', ...rest] = entry.split(':');
      const role = roles.find((one) => one === given);
      const password = rest.join(':');
      if (!/^[A-Za-z0-9._@-]{1,64}$/.test(name) || role === undefined || password.length < 8)
        throw new Error(
          `entry ${index + 1}: expected name:role:password with a role of ${roles.join(', ')} and 8 characters or more in the password`,
        );
      return { name, role, password };
    });
  if (users.length === 0) throw new Error('expected at least one name:role:password');
  if (new Set(users.map((user) => user.name)).size < users.length) throw new Error('two entries have the same name');
  return users;
}

/** An admin with a password of 120 random bits, for a dashboard nobody configured. */
export function makeAdmin(): User {
  return { name: 'admin', role: 'admin', password: randomBytes(15).toString('base64url') };
}

/** Why a dashboard must not listen there without users of its own; undefined when it may. */
export function exposureProblem(host: string, users: readonly User[] | undefined): string | undefined {
  if (users !== undefined || isLoopback(host)) return undefined;
  return `The dashboard will not listen on ${host}, where other machines reach it, without DASHBOARD_USERS (name:role:password,…). Set it, or HOST=127.0.0.1.`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Takes the same time for an unknown name, a wrong password, and any number of equal characters. */
export function findUser(users: readonly User[], name: string, password: string): User | undefined {
  const key = randomBytes(32);
  const digest = (text: string) => createHmac('sha256', key).update(text).digest();
  let found: User | undefined;
  const [givenName, givenPassword] = [digest(name), digest(password)];
  for (const user of users) {
    const isName = timingSafeEqual(digest(user.name), givenName);
    const isPassword = timingSafeEqual(digest(user.password), givenPassword);
    if (isName && isPassword) found = user;
  }
  return found;
}
