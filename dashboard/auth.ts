/**
 * The login of the dashboard: a page and a cookie for people, Basic for scripts. Whatever is registered behind `guard`
 * answers 401 to strangers, and 403 to a change that another site asked for.
 */
import { randomBytes } from 'node:crypto';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { z } from 'zod';
import type { Log } from '../runtime/log.ts';
import { acceptForms, isSameOrigin } from './forms.ts';
import { html } from './html.ts';
import { sendPage } from './page.ts';
import { createSessions, type Sessions } from './session.ts';
import { findUser, type User } from './users.ts';

export interface Auth {
  /** `/login` and `/logout`; register it outside the guarded scope. */
  readonly plugin: FastifyPluginAsync;
  /** An `onRequest` hook. */
  readonly guard: onRequestAsyncHookHandler;
  /** Who makes this request; throws when the guard has not let it through. */
  readonly userOf: (request: FastifyRequest) => User;
}

export interface AuthOptions {
  readonly users: readonly User[];
  /** Signs cookies; default: random, for this process. */
  readonly secret?: string | undefined;
  readonly log: Log;
  /** Epoch ms. */
  readonly now?: () => number;
}

/** Ten wrong passwords per address in five minutes; then 429, also for right ones. */
const tries = { points: 10, duration: 300 };

export function createAuth({ users, secret, log, now }: AuthOptions): Auth {
  const sessions = createSessions(users, secret ?? randomBytes(32).toString('hex'), now);
  const limiter = new RateLimiterMemory(tries);
  const known = new WeakMap<FastifyRequest, User>();

  const logIn = async (name: string, password: string, request: FastifyRequest): Promise<User | number> => {
    const before = await limiter.get(request.ip);
    if (before !== null && before.consumedPoints >= tries.points) return Math.ceil(before.msBeforeNext / 1_000);
    const user = findUser(users, name, password);
    if (user !== undefined) return user;
    log.warn({ ip: request.ip }, 'a login to the dashboard failed');
    return await limiter.consume(request.ip).then(
      () => 0,
      (refused: unknown) => (refused instanceof RateLimiterRes ? Math.ceil(refused.msBeforeNext / 1_000) : 60),
    );
  };

  return {
    plugin: async (app) => {
      acceptForms(app);
      loginRoutes(app, sessions, logIn);
    },
    guard: async (request, reply) => {
      const basic = readBasic(request);
      const found =
        sessions.read(request.headers.cookie) ?? (basic && (await logIn(basic.name, basic.password, request)));
      if (found === undefined || typeof found === 'number') return refuse(request, reply, found ?? 0);
      if (!isReading(request) && !isSameOrigin(request))
        return reply.code(403).send(problem('FORBIDDEN', 'Another site made this request; use the dashboard itself.'));
      known.set(request, found);
    },
    userOf: (request) => {
      const user = known.get(request);
      if (user === undefined) throw new Error(`${request.url} is not registered behind the login`);
      return user;
    },
  };
}

const problem = (code: string, detail: string) => ({ code, detail, message: detail });
const isReading = (request: FastifyRequest) => request.method === 'GET' || request.method === 'HEAD';

function readBasic(request: FastifyRequest): { readonly name: string; readonly password: string } | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/=]{1,512})$/i.exec(request.headers.authorization ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const [name = '', ...rest] = Buffer.from(encoded, 'base64').toString().split(':');
  return { name, password: rest.join(':') };
}

/** Pages go to the login; everything else hears 401. A browser is not offered Basic: its dialog would hide the page. */
function refuse(request: FastifyRequest, reply: FastifyReply, waitS: number): FastifyReply {
  if (waitS > 0) return tooMany(reply, waitS);
  const wantsPage = isReading(request) && (request.headers.accept ?? '').includes('text/html');
  if (wantsPage) return reply.redirect(`/login?next=${encodeURIComponent(request.url)}`, 302);
  if (!(request.headers['user-agent'] ?? '').startsWith('Mozilla/'))
    reply.header('www-authenticate', 'Basic realm="Jobfleet"');
  return reply
    .code(401)
    .send(problem('UNAUTHENTICATED', 'Log in at /login, or send a user of DASHBOARD_USERS as Basic.'));
}

function tooMany(reply: FastifyReply, waitS: number): FastifyReply {
  return reply
    .code(429)
    .header('retry-after', String(waitS))
    .send(problem('LIMITED', `Too many wrong passwords; try again in ${waitS} s.`));
}

/** Only an address of ours: one leading slash, and nothing a browser would read as a host. */
const ownAddress = z
  .string()
  .max(2_000)
  .regex(/^\/(?![/\\])[^\\\p{Cc}]*$/u)
  .catch('/board');
const form = z.object({ name: z.string().max(64), password: z.string().max(512), next: ownAddress.default('/board') });

type LogIn = (name: string, password: string, request: FastifyRequest) => Promise<User | number>;

function loginRoutes(app: Parameters<FastifyPluginAsync>[0], sessions: Sessions, logIn: LogIn): void {
  app.get('/login', async (request, reply) => {
    const { next } = z.object({ next: ownAddress.default('/board') }).parse(request.query);
    if (sessions.read(request.headers.cookie) !== undefined) return reply.redirect(next, 303);
    return loginPage(reply, next);
  });
  app.post('/login', async (request, reply) => {
    const given = form.safeParse(request.body);
    if (!isSameOrigin(request) || !given.success) return loginPage(reply.code(400), '/board', 'Please try again.');
    const { name, password, next } = given.data;
    const found = await logIn(name, password, request);
    if (typeof found !== 'number') {
      return reply.header('set-cookie', sessions.issue(found, request.protocol === 'https')).redirect(next, 303);
    }
    if (found > 0) {
      reply.code(429).header('retry-after', String(found));
      return loginPage(reply, next, `Too many attempts. Try again in ${Math.ceil(found / 60)} min.`);
    }
    return loginPage(reply.code(401), next, 'Name or password is wrong.');
  });
  app.get('/logout', async (_request, reply) =>
    sendPage(reply, {
      title: 'Log out',
      body: html`<form class="card login" method="post" action="/logout"><h1>Leave the dashboard?</h1><button class="main">Log out</button><p><a href="/board">Back to the board</a></p></form>`,
    }),
  );
  app.post('/logout', async (request, reply) => {
    if (!isSameOrigin(request)) return reply.code(403).send(problem('FORBIDDEN', 'Another site made this request.'));
    return reply.header('set-cookie', sessions.end()).redirect('/login', 303);
  });
}

function loginPage(reply: FastifyReply, next: string, message?: string): FastifyReply {
  return sendPage(reply, {
    title: 'Log in',
    body: html`<form class="card login" method="post" action="/login">
<h1>Jobfleet</h1>
${message !== undefined && html`<p class="note" role="alert">${message}</p>`}
<input type="hidden" name="next" value="${next}">
<label><span>Name</span><input name="name" autocomplete="username" required autofocus maxlength="64"></label>
<label><span>Password</span><input name="password" type="password" autocomplete="current-password" required maxlength="512"></label>
<button class="main">Log in</button>
</form>`,
  });
}
