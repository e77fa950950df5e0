/** `jobfleet up`: API, workers, board and development inbox in one process on one port. What one needs first is printed. */
import fastify, { type FastifyInstance } from 'fastify';
import { dashboardEnv } from '../dashboard/env.ts';
import { startInbox } from '../dashboard/inbox.ts';
import { dashboard } from '../dashboard/main.ts';
import { exposureProblem, type User } from '../dashboard/users.ts';
import { apiEnv } from '../producers/env.ts';
import { api } from '../producers/http.ts';
import { apiOptions } from '../producers/main.ts';
import { serverOptions } from '../producers/server-options.ts';
import { commonEnv, parseEnv } from '../runtime/env.ts';
import { healthRoutes } from '../runtime/health.ts';
import { createLog } from '../runtime/log.ts';
import { createShutdown } from '../runtime/shutdown.ts';
import { workersEnv } from '../workers/env.ts';
import { type Fleet, startWorkers } from '../workers/main.ts';
import { banner } from './banner.ts';
import { openParts, type Parts } from './compose.ts';
import { localSecrets, type Secrets, writeClientFile } from './local-state.ts';
import { CliError, note, print } from './output.ts';
import { version } from './version.ts';

const defaultPort = 3_000;
const portsTried = 50;

/** Returns when everything answers; the process lives on its servers until a signal drains it. */
export async function up(flags: { readonly json?: boolean }): Promise<void> {
  const startedAt = performance.now();
  const common = parseEnv(commonEnv, process.env);
  const release = version();
  const secrets = await localSecrets(common.DATA_DIR);
  const env = parseEnv(apiEnv, {
    JOBFLEET_KEY: secrets.apiKey,
    SIGNING_KEY: secrets.signingKey,
    ...given(process.env),
  });
  const boardEnv = parseEnv(dashboardEnv, process.env);
  const exposure = exposureProblem(common.HOST, boardEnv.DASHBOARD_USERS);
  if (exposure !== undefined) throw new CliError(exposure, 2);
  // With --json standard output is one document; logs go beside it.
  const log = createLog({
    name: 'up',
    level: common.LOG_LEVEL,
    ...(flags.json === true ? { destination: process.stderr } : {}),
  });
  const parts = await openParts('up', common, release, log);
  const isDevelopment = process.env['NODE_ENV'] !== 'production';
  const inbox =
    isDevelopment && process.env['SMTP_URL'] === undefined
      ? await startInbox({ dataDir: parts.dataDir, log: parts.log })
      : undefined;
  const fleet = await startWorkers({
    ...parts,
    env: parseEnv(workersEnv, process.env),
    handlerEnv: { ...process.env, ...(inbox === undefined ? {} : { SMTP_URL: inbox.smtpUrl }) },
  });
  const shutdown = createShutdown({ log: parts.log, announce: () => note(draining(fleet, common.SHUTDOWN_MS)) });
  const app = fastify(serverOptions(parts.log));
  await app.register(healthRoutes, {
    live: () => fleet.live(),
    ready: async () => (shutdown.draining() ? 'shutting down' : (fleet.ready() ?? (await storeProblem(parts)))),
    metrics: parts.metrics,
  });
  await app.register(api, await apiOptions({ ...parts, env, version: release }));
  await app.register(dashboard, {
    ...parts,
    inbox,
    users: boardEnv.DASHBOARD_USERS ?? [madeAdmin(secrets)],
    sessionSecret: boardEnv.SESSION_SECRET ?? secrets.signingKey,
    hasDocs: true,
  });
  app.get('/', async (_request, reply) => reply.redirect('/board'));
  const url = await listen(app, common.HOST, common.PORT);
  shutdown.add({
    name: 'drain workers',
    deadlineMs: common.SHUTDOWN_MS + 2_000,
    run: async () => void (await fleet.stop(common.SHUTDOWN_MS)),
  });
  shutdown.add({
    name: 'close servers',
    deadlineMs: 5_000,
    run: async () => void (await Promise.all([app.close(), inbox?.close()])),
  });
  shutdown.add({ name: 'close stores', deadlineMs: 20_000, run: () => parts.close() });
  shutdown.listen();
  const key = env.JOBFLEET_KEY ?? secrets.apiKey;
  await writeClientFile(parts.dataDir, { url, key });
  const facts = {
    url,
    key,
    hasInbox: inbox !== undefined,
    boardUsers: boardEnv.DASHBOARD_USERS === undefined ? `admin / ${secrets.boardPassword}` : 'as in DASHBOARD_USERS',
    dataDir: common.DATA_DIR,
    store: parts.backend.kind,
    unavailable: Object.fromEntries(fleet.unavailable),
  };
  print(flags.json === true, facts, () => banner(facts, performance.now() - startedAt));
}

/** A variable that is set but empty is not set. */
function given(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
}

function madeAdmin({ boardPassword }: Secrets): User {
  return { name: 'admin', role: 'admin', password: boardPassword };
}

function draining(fleet: Fleet, shutdownMs: number): string {
  const active = fleet.active();
  const jobs = active === 1 ? '1 job' : `${active} jobs`;
  return `\nfinishing ${jobs} (max ${Math.round(shutdownMs / 1_000)} s); once more stops at once`;
}

async function storeProblem(parts: Parts): Promise<string | undefined> {
  try {
    await parts.backend.ping();
    return undefined;
  } catch {
    return 'the store of jobs does not answer';
  }
}

/** A port that was asked for is that port or an error; the default one moves on to the next free one, and says so. */
async function listen(app: Pick<FastifyInstance, 'listen'>, host: string, port: number | undefined): Promise<string> {
  for (let tried = port ?? defaultPort; ; tried += 1) {
    try {
      const url = await app.listen({ host, port: tried });
      if (port === undefined && tried !== defaultPort) note(`Port ${defaultPort} is taken: using ${tried}.`);
      return url;
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!isTaken) throw error;
      if (port !== undefined || tried >= defaultPort + portsTried)
        throw new CliError(`Port ${tried} on ${host} is taken; set PORT to a free one.`, 2, { cause: error });
    }
  }
}
