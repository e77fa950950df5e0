/** The login cookie: who and until when, signed. Nothing is kept on the server, so any dashboard process reads it. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { User } from './users.ts';

const cookieName = 'jobfleet_session';
const lifeMs = 12 * 3_600_000;

const claims = z.object({ name: z.string(), until: z.number() });

export interface Sessions {
  /** A `Set-Cookie` value: HttpOnly, SameSite=Strict, 12 hours. `secure` when the page came over TLS. */
  readonly issue: (user: User, secure: boolean) => string;
  /** A `Set-Cookie` value that ends the session in this browser. */
  readonly end: () => string;
  /** The user a `Cookie` header names; undefined when forged, expired, or signed before the password changed. */
  readonly read: (header: string | undefined) => User | undefined;
}

/** `now` is epoch ms. */
export function createSessions(users: readonly User[], secret: string, now: () => number = Date.now): Sessions {
  // The password is part of the key: changing it ends the sessions of that user.
  const sign = (body: string, user: User) =>
    createHmac('sha256', `session\n${secret}\n${user.password}`).update(body).digest('base64url');
  const attributes = 'Path=/; HttpOnly; SameSite=Strict';
  return {
    issue(user, secure) {
      const body = Buffer.from(JSON.stringify({ name: user.name, until: now() + lifeMs })).toString('base64url');
      const life = `Max-Age=${lifeMs / 1_000}${secure ? '; Secure' : ''}`;
      return `${cookieName}=${body}.${sign(body, user)}; ${attributes}; ${life}`;
    },
    end: () => `${cookieName}=; ${attributes}; Max-Age=0`,
    read(header) {
      const [, body = '', given = ''] =
        /(?:^|;\s*)jobfleet_session=([\w-]{1,400})\.([\w-]{43})(?:;|$)/.exec(header ?? '') ?? [];
      const parsed = claims.safeParse(readJson(body));
      if (!parsed.success || parsed.data.until <= now()) return undefined;
      const user = users.find((one) => one.name === parsed.data.name);
      if (user === undefined) return undefined;
      const expected = sign(body, user);
      return timingSafeEqual(Buffer.from(expected), Buffer.from(given)) ? user : undefined;
    },
  };
}

function readJson(body: string): unknown {
  try {
    return JSON.parse(Buffer.from(body, 'base64url').toString());
  } catch {
    return undefined; // No JSON is no session; the caller says 401.
  }
}
