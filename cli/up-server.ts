/**
 * What `jobfleet up` runs on its port and behind it. Apart from `up.ts`, which imports it while the store starts: web
 * server, board and workers are most of what a start loads.
 */
import fastify from 'fastify';
import { type Inbox, startInbox } from '../dashboard/inbox.ts';
import { dashboard } from '../dashboard/main.ts';
import { api } from '../producers/http.ts';
import { apiOptions } from '../producers/main.ts';
import { serverOptions } from '../producers/server-options.ts';
import { localSigningKey } from '../producers/signed-links.ts';
import { healthRoutes } from '../runtime/health.ts';
import type { Log } from '../runtime/log.ts';
import { type Fleet, startWorkers } from '../workers/main.ts';
import { linksTo, orClose, type Parts } from './compose.ts';
import type { Secrets } from './local-state.ts';
import type { UpEnv } from './up.ts';
import { version } from './version.ts';

function createApp(log: Log) {
  return fastify(serverOptions(log));
}
type App = ReturnType<typeof createApp>;

/** Everything that runs in this process. */
export interface Running {
  readonly parts: Parts;
  readonly inbox: Inbox | undefined;
  readonly fleet: Fleet;
  /** With all its routes, not listening yet. */
  readonly app: App;
}

export interface UpServerOptions {
  readonly parts: Parts;
  readonly env: UpEnv;
  readonly secrets: Secrets;
  readonly isDraining: () => boolean;
}

/** Workers claim when it resolves. When it rejects nothing but `parts` is open. */
export async function startAll(options: UpServerOptions): Promise<Running> {
  const { parts, env } = options;
  const { NODE_ENV, SMTP_URL = '', SMTP_URL_FILE = '' } = process.env;
  const wantsInbox = NODE_ENV !== 'production' && SMTP_URL === '' && SMTP_URL_FILE === '';
  const inbox = wantsInbox ? await startInbox({ dataDir: parts.dataDir, log: parts.log }) : undefined;
  return orClose(
    async () => inbox?.close(),
    async () => {
      const handlerEnv = { ...process.env, ...(inbox === undefined ? {} : { SMTP_URL: inbox.smtpUrl }) };
      const linkTo = await linksTo(env, parts.dataDir);
      // It has its machine to share: a waiting child takes 35 MB, and a second of a processor when `up` needs both.
      const starting = startWorkers({ ...parts, env, handlerEnv, version: version(), linkTo, readyChildren: false });
      // The routes are made while the workers wait for their lease thread and for the store.
      let fleet: Fleet | undefined;
      const app = createApp(parts.log);
      const [started, added] = await Promise.allSettled([starting, addRoutes(app, () => fleet, inbox, options)]);
      if (started.status === 'rejected') throw started.reason;
      fleet = started.value;
      if (added.status === 'fulfilled') return { parts, inbox, fleet, app };
      await fleet.stop(1_000);
      throw added.reason;
    },
  );
}

export async function closeAll({ fleet, inbox, parts }: Running, deadlineMs: number): Promise<void> {
  await fleet.stop(deadlineMs);
  await inbox?.close();
  await parts.close();
}

async function addRoutes(
  app: App,
  fleet: () => Fleet | undefined,
  inbox: Inbox | undefined,
  { parts, env, secrets, isDraining }: UpServerOptions,
): Promise<void> {
  await app.register(healthRoutes, {
    live: () => fleet()?.live(),
    ready: async () =>
      isDraining() ? 'shutting down' : (fleet()?.ready() ?? (await storeProblem(parts)) ?? (await parts.unsafe())),
    metrics: parts.metrics,
  });
  const apiSettings = { ...env, JOBFLEET_KEY: env.JOBFLEET_KEY ?? secrets.apiKey };
  await app.register(api, await apiOptions({ ...parts, env: apiSettings, version: version() }));
  await app.register(dashboard, {
    ...parts,
    inbox,
    // Never without a login, whatever HOST says.
    users: env.DASHBOARD_USERS ?? [{ name: 'admin', role: 'admin', password: secrets.boardPassword }],
    sessionSecret: env.SESSION_SECRET ?? env.SIGNING_KEY ?? (await localSigningKey(parts.dataDir)),
    hasDocs: true,
  });
  app.get('/', async (_request, reply) => reply.redirect('/board'));
}

async function storeProblem(parts: Parts): Promise<string | undefined> {
  try {
    await parts.backend.ping();
    return undefined;
  } catch {
    return 'the store of jobs does not answer';
  }
}
