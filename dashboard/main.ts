/** Composition of the dashboard: what `jobfleet dashboard` serves alone, and `jobfleet up` beside the API. */
import fastify, { type FastifyPluginAsync, LogController } from 'fastify';
import type { Backend } from '../backends/backend.ts';
import type { Registry } from '../jobs/registry.ts';
import type { Client } from '../producers/client.ts';
import { ConfigurationError } from '../runtime/env.ts';
import { healthRoutes } from '../runtime/health.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { SecretBox } from '../runtime/secret-box.ts';
import { createAuth } from './auth.ts';
import { board } from './board.ts';
import type { DashboardEnv } from './env.ts';
import type { Inbox } from './inbox.ts';
import { exposureProblem, makeAdmin, type User } from './users.ts';

export interface DashboardOptions {
  readonly backend: Backend;
  readonly registry: Registry;
  readonly client: Client;
  /** Of the client; jobs with secret fields are edited with it. */
  readonly secrets?: SecretBox | undefined;
  readonly log: Log;
  readonly users: readonly User[];
  /** Signs the login cookie; default: made at each start. */
  readonly sessionSecret?: string | undefined;
  /** Shown at `/dev/inbox`, behind the same login. */
  readonly inbox?: Inbox | undefined;
  /** The API's pages are on this server too: link to `/docs`. */
  readonly hasDocs?: boolean;
  /** Check every answer of the board against its schema; for tests. */
  readonly validateResponses?: boolean;
}

/** Fastify plugin: `/login`, `/logout`, and behind the login `/board` and `/dev/inbox`. */
export const dashboard: FastifyPluginAsync<DashboardOptions> = async (app, options) => {
  const { backend, registry, client, secrets, log, inbox } = options;
  const auth = createAuth({ users: options.users, secret: options.sessionSecret, log });
  const links = [
    ...(inbox === undefined ? [] : [{ text: 'Development inbox', url: '/dev/inbox' }]),
    ...(options.hasDocs === true ? [{ text: 'API documentation', url: '/docs' }] : []),
    { text: 'Log out', url: '/logout' },
  ];
  await app.register(auth.plugin);
  await app.register(async (guarded) => {
    guarded.addHook('onRequest', auth.guard);
    const { validateResponses = false } = options;
    const { userOf } = auth;
    await guarded.register(board, { backend, registry, client, secrets, log, links, userOf, validateResponses });
    if (inbox !== undefined) await guarded.register(inbox.plugin);
  });
};

export interface Dashboard {
  /** `http://host:port`, with the port that was free when 0 was asked for. */
  readonly url: string;
  /** The admin that was made because DASHBOARD_USERS is not set; print it, nobody else knows it. */
  readonly madeAdmin: User | undefined;
  readonly close: () => Promise<void>;
}

/**
 * Listens; rejects when the port is taken, and with `ConfigurationError` when other machines could reach a dashboard
 * that has no users of its own. `ready`: why no work should be sent here, beside the store's own state.
 */
export async function startDashboard(
  parts: Omit<DashboardOptions, 'users' | 'sessionSecret'> & {
    readonly env: DashboardEnv;
    readonly metrics: Metrics;
    readonly host: string;
    readonly port: number;
    readonly ready?: () => Promise<string | undefined> | string | undefined;
  },
): Promise<Dashboard> {
  const { env, metrics, host, port, ready, ...rest } = parts;
  const problem = exposureProblem(host, env.DASHBOARD_USERS);
  if (problem !== undefined) throw new ConfigurationError(problem);
  const madeAdmin = env.DASHBOARD_USERS === undefined ? makeAdmin() : undefined;
  const users = env.DASHBOARD_USERS ?? (madeAdmin === undefined ? [] : [madeAdmin]);
  const app = fastify({
    loggerInstance: rest.log,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: 'idle',
    http: { headersTimeout: 3_000, connectionsCheckingInterval: 1_000 },
    requestTimeout: 30_000,
    // A job's id stands in the path.
    routerOptions: { maxParamLength: 256 },
  });
  await app.register(healthRoutes, {
    live: () => undefined,
    ready: async () => (await ready?.()) ?? (await storeProblem(parts.backend)),
    metrics,
  });
  await app.register(dashboard, { ...rest, users, sessionSecret: env.SESSION_SECRET });
  app.get('/', async (_request, reply) => reply.redirect('/board'));
  const url = await app.listen({ host, port });
  return { url, madeAdmin, close: () => app.close() };
}

/** Why the store cannot be used now, without names of hosts; undefined when it answers. */
async function storeProblem(backend: Backend): Promise<string | undefined> {
  try {
    await backend.ping();
    return undefined;
  } catch {
    return 'The store of jobs does not answer.';
  }
}
