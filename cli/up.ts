/** `jobfleet up`: API, workers, board and development inbox in one process on one port. What one needs first is printed. */
import { z } from 'zod';
import { dashboardEnv } from '../dashboard/env.ts';
import { apiEnv } from '../producers/env.ts';
import { commonEnv, parseEnv } from '../runtime/env.ts';
import { createShutdown, type Shutdown } from '../runtime/shutdown.ts';
import { workersEnv } from '../workers/env.ts';
import { banner } from './banner.ts';
import { openParts, orClose, processLog } from './compose.ts';
import { listen, listenFrom } from './listen.ts';
import { announceServer, localSecrets } from './local-state.ts';
import { draining, note, print } from './output.ts';
import { exitWhenStuck } from './stuck.ts';
import type { Running } from './up-server.ts';
import { version } from './version.ts';

const upEnv = z.object({ ...commonEnv.shape, ...apiEnv.shape, ...dashboardEnv.shape, ...workersEnv.shape });
export type UpEnv = z.output<typeof upEnv>;

const defaultPort = 3_000;
const portsTried = 50;

/** Returns when everything answers; the process lives on its servers until a signal drains it. */
export async function up(flags: { readonly json?: boolean }): Promise<void> {
  const startedAt = performance.now();
  const env = parseEnv(upEnv, process.env);
  const secrets = await localSecrets(env.DATA_DIR);
  const log = processLog('up', env.LOG_LEVEL, flags.json === true);
  const importServer = () => import('./up-server.ts');
  const parts = await openParts('up', env, version(), { log, meanwhile: importServer });
  const { startAll, closeAll } = await orClose(parts.close, importServer);
  const isDraining = (): boolean => shutdown.draining();
  const active = (): number => running.fleet.active();
  const shutdown = createShutdown({ log, announce: () => note(draining(active(), env.SHUTDOWN_MS)) });
  const running = await orClose(parts.close, () => startAll({ parts, env, secrets, isDraining }));
  const url = await orClose(
    () => closeAll(running, 1_000),
    () => open(running.app, env),
  );
  drainOnSignals(shutdown, running, env);
  const key = env.JOBFLEET_KEY ?? secrets.apiKey;
  const other = await announceServer(parts.dataDir, { url, key });
  if (other !== undefined) {
    note(`${other} runs on ${env.DATA_DIR}/ already: this server shares its jobs, and commands go on asking that one.`);
  }
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

/** A port that was asked for is that port or an error; the default one moves on to the next free one, and says so. */
async function open(app: Running['app'], env: UpEnv): Promise<string> {
  if (env.PORT !== undefined) return listen(app, env.HOST, env.PORT);
  const { url, port } = await listenFrom(app, env.HOST, defaultPort, portsTried);
  if (port !== defaultPort) note(`Port ${defaultPort} is taken: using ${port}.`);
  return url;
}

function drainOnSignals(shutdown: Shutdown, { fleet, inbox, parts, app }: Running, env: UpEnv): void {
  shutdown.add({
    name: 'drain workers',
    deadlineMs: env.SHUTDOWN_MS + 2_000,
    run: async () => void (await fleet.stop(env.SHUTDOWN_MS)),
  });
  shutdown.add({
    name: 'close servers',
    deadlineMs: 5_000,
    run: async () => void (await Promise.all([app.close(), inbox?.close()])),
  });
  shutdown.add({ name: 'close stores', deadlineMs: 20_000, run: () => parts.close() });
  shutdown.listen();
  exitWhenStuck(fleet, shutdown);
}
