/** `jobfleet up`: API, workers, board and development inbox in one process on one port. What one needs first is printed. */
import fastify from 'fastify';
import { z } from 'zod';
import { dashboardEnv } from '../dashboard/env.ts';
import { type Inbox, startInbox } from '../dashboard/inbox.ts';
import { dashboard } from '../dashboard/main.ts';
import { exposureProblem } from '../dashboard/users.ts';
import { apiEnv } from '../producers/env.ts';
import { api } from '../producers/http.ts';
import { apiOptions } from '../producers/main.ts';
import { serverOptions } from '../producers/server-options.ts';
import { commonEnv, parseEnv } from '../runtime/env.ts';
import { healthRoutes } from '../runtime/health.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { createShutdown, type Shutdown } from '../runtime/shutdown.ts';
import { workersEnv } from '../workers/env.ts';
import { type Fleet, startWorkers } from '../workers/main.ts';
import { banner } from './banner.ts';
import { openParts, orClose, type Parts } from './compose.ts';
import { listen, listenFrom } from './listen.ts';
import { localSecrets, type Secrets, writeClientFile } from './local-state.ts';
import { CliError, draining, note, print } from './output.ts';
import { exitWhenStuck } from './stuck.ts';
import { version } from './version.ts';

const upEnv = z.object({ ...commonEnv.shape, ...apiEnv.shape, ...dashboardEnv.shape, ...workersEnv.shape });
type UpEnv = z.output<typeof upEnv>;

const defaultPort = 3_000;
const portsTried = 50;

/** Everything that runs in this process. */
interface Running {
  readonly parts: Parts;
  readonly inbox: Inbox | undefined;
  readonly fleet: Fleet;
}

/** Returns when everything answers; the process lives on its servers until a signal drains it. */
export async function up(flags: { readonly json?: boolean }): Promise<void> {
  const startedAt = performance.now();
  const env = parseEnv(upEnv, process.env);
  const exposure = exposureProblem(env.HOST, env.DASHBOARD_USERS);
  if (exposure !== undefined) throw new CliError(exposure, 2);
  const secrets = await localSecrets(env.DATA_DIR);
  // With --json standard output is one document; logs go beside it.
  const destination = flags.json === true ? { destination: process.stderr } : {};
  const log = createLog({ name: 'up', level: env.LOG_LEVEL, ...destination });
  const parts = await openParts('up', env, version(), log);
  const running = await orClose(parts.close, () => startAll(parts, env));
  const shutdown = createShutdown({ log, announce: () => note(draining(running.fleet.active(), env.SHUTDOWN_MS)) });
  const app = createApp(log);
  const url = await orClose(
    () => closeAll(running, 1_000),
    async () => {
      await addRoutes(app, running, shutdown, env, secrets);
      return open(app, env);
    },
  );
  drainOnSignals(shutdown, running, env, () => app.close());
  const key = env.JOBFLEET_KEY ?? secrets.apiKey;
  await writeClientFile(parts.dataDir, { url, key });
  const facts = {
    url,
    key,
    hasInbox: running.inbox !== undefined,
    boardUsers: env.DASHBOARD_USERS === undefined ? `admin / ${secrets.boardPassword}` : 'as in DASHBOARD_USERS',
    dataDir: env.DATA_DIR,
    store: parts.backend.kind,
    unavailable: Object.fromEntries(running.fleet.unavailable),
  };
  print(flags.json === true, facts, () => banner(facts, performance.now() - startedAt));
}

async function startAll(parts: Parts, env: UpEnv): Promise<Running> {
  const wantsInbox = process.env['NODE_ENV'] !== 'production' && (process.env['SMTP_URL'] ?? '') === '';
  const inbox = wantsInbox ? await startInbox({ dataDir: parts.dataDir, log: parts.log }) : undefined;
  const handlerEnv = { ...process.env, ...(inbox === undefined ? {} : { SMTP_URL: inbox.smtpUrl }) };
  const fleet = await orClose(
    async () => inbox?.close(),
    () => startWorkers({ ...parts, env, handlerEnv }),
  );
  return { parts, inbox, fleet };
}

async function closeAll({ fleet, inbox, parts }: Running, deadlineMs: number): Promise<void> {
  await fleet.stop(deadlineMs);
  await inbox?.close();
  await parts.close();
}

function createApp(log: Log) {
  return fastify(serverOptions(log));
}
type App = ReturnType<typeof createApp>;

async function addRoutes(
  app: App,
  { parts, inbox, fleet }: Running,
  shutdown: Shutdown,
  env: UpEnv,
  secrets: Secrets,
): Promise<void> {
  await app.register(healthRoutes, {
    live: () => fleet.live(),
    ready: async () => (shutdown.draining() ? 'shutting down' : (fleet.ready() ?? (await storeProblem(parts)))),
    metrics: parts.metrics,
  });
  const apiSettings = {
    ...env,
    JOBFLEET_KEY: env.JOBFLEET_KEY ?? secrets.apiKey,
    SIGNING_KEY: env.SIGNING_KEY ?? secrets.signingKey,
  };
  await app.register(api, await apiOptions({ ...parts, env: apiSettings, version: version() }));
  await app.register(dashboard, {
    ...parts,
    inbox,
    users: env.DASHBOARD_USERS ?? [{ name: 'admin', role: 'admin', password: secrets.boardPassword }],
    sessionSecret: env.SESSION_SECRET ?? secrets.signingKey,
    hasDocs: true,
  });
  app.get('/', async (_request, reply) => reply.redirect('/board'));
}

/** A port that was asked for is that port or an error; the default one moves on to the next free one, and says so. */
async function open(app: App, env: UpEnv): Promise<string> {
  if (env.PORT !== undefined) return listen(app, env.HOST, env.PORT);
  const { url, port } = await listenFrom(app, env.HOST, defaultPort, portsTried);
  if (port !== defaultPort) note(`Port ${defaultPort} is taken: using ${port}.`);
  return url;
}

function drainOnSignals(shutdown: Shutdown, running: Running, env: UpEnv, closeApp: () => Promise<unknown>): void {
  const { fleet, inbox, parts } = running;
  shutdown.add({
    name: 'drain workers',
    deadlineMs: env.SHUTDOWN_MS + 2_000,
    run: async () => void (await fleet.stop(env.SHUTDOWN_MS)),
  });
  shutdown.add({
    name: 'close servers',
    deadlineMs: 5_000,
    run: async () => void (await Promise.all([closeApp(), inbox?.close()])),
  });
  shutdown.add({ name: 'close stores', deadlineMs: 20_000, run: () => parts.close() });
  shutdown.listen();
  exitWhenStuck(fleet, shutdown);
}

async function storeProblem(parts: Parts): Promise<string | undefined> {
  try {
    await parts.backend.ping();
    return undefined;
  } catch {
    return 'the store of jobs does not answer';
  }
}
