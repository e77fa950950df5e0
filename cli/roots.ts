/** `jobfleet api`, `worker` and `dashboard`: one part of the fleet in a process of its own. */
import fastify from 'fastify';
import { z } from 'zod';
import { dashboardEnv } from '../dashboard/env.ts';
import { startDashboard } from '../dashboard/main.ts';
import { apiEnv } from '../producers/env.ts';
import { startApi } from '../producers/main.ts';
import { commonEnv, parseEnv } from '../runtime/env.ts';
import { healthRoutes } from '../runtime/health.ts';
import { createShutdown } from '../runtime/shutdown.ts';
import { workersEnv } from '../workers/env.ts';
import { type Fleet, startWorkers } from '../workers/main.ts';
import { linksTo, openParts, orClose, type Parts, processLog } from './compose.ts';
import { listen, listening } from './listen.ts';
import { draining, note, sayReady } from './output.ts';
import { exitWhenStuck } from './stuck.ts';
import { reportToSupervisor } from './supervised.ts';
import { version } from './version.ts';
import {
  closeServerMs,
  closeStoresMs,
  drainMs,
  type WorkerFlags,
  workerStopMs,
  workerValues,
} from './worker-values.ts';

const closeMs = 20_000;

interface JsonFlag {
  readonly json?: boolean;
}

/** A worker signs links as the API does, for mails. */
const { PUBLIC_URL, SIGNING_KEY } = apiEnv.shape;
const workerEnv = z.object({ ...commonEnv.shape, ...workersEnv.shape, PUBLIC_URL, SIGNING_KEY });

export async function runApi({ json = false }: JsonFlag): Promise<void> {
  const env = parseEnv(z.object({ ...commonEnv.shape, ...apiEnv.shape }), process.env);
  const release = version();
  const parts = await openParts('api', env, release, { log: processLog('api', env.LOG_LEVEL, json) });
  const shutdown = createShutdown({ log: parts.log });
  const { HOST: host, PORT: port = 3_000 } = env;
  const ready = () => (shutdown.draining() ? 'shutting down' : parts.unsafe());
  const server = await orClose(parts.close, () =>
    listening(host, port, () => startApi({ ...parts, env, version: release, host, port, ready })),
  );
  shutdown.add({ name: 'close server', deadlineMs: env.SHUTDOWN_MS, run: server.close });
  shutdown.add({ name: 'close stores', deadlineMs: closeMs, run: () => parts.close() });
  shutdown.listen();
  const keyless = env.JOBFLEET_KEY === undefined ? '; set JOBFLEET_KEY to have a first key' : '';
  sayReady(json, { url: `${server.url}/v1` }, ({ url }) => `API ready at ${url}${keyless}`);
}

/** `supervised`: started by `jobfleet worker --processes`, which answers for its health. */
export async function runWorker(flags: WorkerFlags & JsonFlag & { readonly supervised?: boolean }): Promise<void> {
  const env = parseEnv(workerEnv, workerValues(flags));
  const json = flags.json === true;
  const parts = await openParts('worker', env, version(), { log: processLog('worker', env.LOG_LEVEL, json) });
  const fleet = await orClose(parts.close, async () =>
    startWorkers({
      ...parts,
      env,
      handlerEnv: process.env,
      version: version(),
      linkTo: await linksTo(env, parts.dataDir),
    }),
  );
  const shutdown = createShutdown({ log: parts.log, announce: () => note(draining(fleet.active(), env.SHUTDOWN_MS)) });
  const ready = async () => (shutdown.draining() ? 'shutting down' : (fleet.ready() ?? (await parts.unsafe())));
  const stop = async (): Promise<void> => {
    await fleet.stop(1_000);
    await parts.close();
  };
  const graceMs = workerStopMs(env.SHUTDOWN_MS);
  const answering = await orClose(stop, async () =>
    flags.supervised === true
      ? reportToSupervisor({ fleet, ready, metrics: parts.metrics, shutdown, graceMs })
      : serveHealth(fleet, ready, parts, env),
  );
  shutdown.add({
    name: 'drain',
    deadlineMs: drainMs(env.SHUTDOWN_MS),
    run: async () => void (await fleet.stop(env.SHUTDOWN_MS)),
  });
  shutdown.add({ name: 'close server', deadlineMs: closeServerMs, run: () => answering.close() });
  shutdown.add({ name: 'close stores', deadlineMs: closeStoresMs, run: () => parts.close() });
  shutdown.listen();
  exitWhenStuck(fleet, shutdown);
  const facts = {
    health: answering.where,
    serves: fleet.serves,
    unavailable: Object.fromEntries(fleet.unavailable),
  };
  sayReady(json, facts, ({ health, serves, unavailable }) => {
    const missing = Object.entries(unavailable).map(([type, reason]) => `${type} cannot run here: ${reason}\n`);
    return `${missing.join('')}Worker ready for ${serves.join(', ')}; health at ${health}`;
  });
}

async function serveHealth(
  fleet: Fleet,
  ready: () => Promise<string | undefined>,
  { metrics }: Parts,
  env: Pick<z.output<typeof commonEnv>, 'HOST' | 'PORT'>,
) {
  const app = fastify({ logger: false });
  await app.register(healthRoutes, { live: () => fleet.live(), ready, metrics });
  const where = await listen(app, env.HOST, env.PORT ?? 3_002);
  return { where, close: () => app.close() };
}

export async function runDashboard({ json = false }: JsonFlag): Promise<void> {
  const env = parseEnv(z.object({ ...commonEnv.shape, ...dashboardEnv.shape }), process.env);
  const parts = await openParts('dashboard', env, version(), { log: processLog('dashboard', env.LOG_LEVEL, json) });
  const shutdown = createShutdown({ log: parts.log });
  const { HOST: host, PORT: port = 3_001 } = env;
  const ready = () => (shutdown.draining() ? 'shutting down' : parts.unsafe());
  const server = await orClose(parts.close, () =>
    listening(host, port, () => startDashboard({ ...parts, env, host, port, ready })),
  );
  shutdown.add({ name: 'close server', deadlineMs: 5_000, run: server.close });
  shutdown.add({ name: 'close stores', deadlineMs: closeMs, run: () => parts.close() });
  shutdown.listen();
  const boardUsers =
    server.madeAdmin === undefined
      ? 'as in DASHBOARD_USERS'
      : `${server.madeAdmin.name} / ${server.madeAdmin.password}`;
  const facts = { url: `${server.url}/board`, boardUsers };
  sayReady(json, facts, ({ url }) => `Dashboard ready at ${url} (login ${boardUsers})`);
}
