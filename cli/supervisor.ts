/** `jobfleet worker --processes N`: the supervisor's process. It opens no store and runs no job; health and metrics are its own port's. */
import { spawn } from 'node:child_process';
import fastify from 'fastify';
import { z } from 'zod';
import { commonEnv, parseEnv } from '../runtime/env.ts';
import { healthRoutes } from '../runtime/health.ts';
import { createLog } from '../runtime/log.ts';
import { mergeFamilies } from '../runtime/merge-metrics.ts';
import { prometheusText } from '../runtime/metrics.ts';
import { createShutdown } from '../runtime/shutdown.ts';
import { workersEnv } from '../workers/env.ts';
import { listen } from './listen.ts';
import { CliError, draining, note, sayReady } from './output.ts';
import { supervise } from './supervise.ts';
import { type WorkerFlags, workerStopMs, workerValues } from './worker-values.ts';

export interface SupervisorFlags extends WorkerFlags {
  readonly processes: string;
  readonly maxMemory?: string;
  readonly json?: boolean;
}

export async function superviseWorkers(flags: SupervisorFlags): Promise<void> {
  const processes = wholeNumber('--processes', flags.processes, 1, 256);
  const maxMemoryMb =
    flags.maxMemory === undefined ? undefined : wholeNumber('--max-memory', flags.maxMemory, 64, 1_048_576);
  // Said once, here, not by each process.
  const env = parseEnv(z.object({ ...commonEnv.shape, ...workersEnv.shape }), workerValues(flags));
  // With --json standard output is for one document.
  const output = flags.json === true ? process.stderr : process.stdout;
  const log = createLog({ name: 'supervisor', level: env.LOG_LEVEL, pretty: false, destination: output });
  const stopMs = workerStopMs(env.SHUTDOWN_MS);
  const supervisor = supervise({
    processes,
    maxMemoryMb,
    log,
    output,
    stopMs,
    start: () => startProcess(flags),
    onWrongCall: () => {
      supervisor.kill();
      process.exit(2);
    },
  });
  const shutdown = createShutdown({
    log,
    announce: () => note(draining(supervisor.active(), env.SHUTDOWN_MS)),
    exit: (code) => {
      // At a second signal some are still there.
      supervisor.kill();
      process.exit(code);
    },
  });
  const app = fastify({ logger: false });
  await app.register(healthRoutes, {
    live: () => supervisor.live(),
    ready: () => (shutdown.draining() ? 'shutting down' : supervisor.ready()),
    metrics: { contentType: prometheusText, text: async () => mergeFamilies(await supervisor.families()) },
  });
  shutdown.add({
    name: 'stop worker processes',
    deadlineMs: stopMs + 2_000,
    run: async () => {
      if ((await supervisor.stop()) !== 0) throw new Error('A worker process did not end well; its log lines say why');
    },
  });
  shutdown.add({ name: 'close server', deadlineMs: 2_000, run: () => app.close() });
  shutdown.listen();
  const url = await listen(app, env.HOST, env.PORT ?? 3_002).catch((error: unknown) => {
    supervisor.kill();
    throw error;
  });
  const facts = { health: url, processes, pid: process.pid };
  sayReady(
    flags.json === true,
    facts,
    ({ pid, health }) => `${processes} worker processes under process ${pid}; health at ${health}`,
  );
}

function startProcess({ queues, concurrency }: SupervisorFlags) {
  const [program = ''] = process.argv.slice(1);
  const args = [
    ...process.execArgv,
    program,
    'worker',
    '--supervised',
    ...(queues === undefined ? [] : ['--queues', queues]),
    ...(concurrency === undefined ? [] : ['--concurrency', concurrency]),
  ];
  return spawn(process.execPath, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    windowsHide: true,
  });
}

function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value;
  throw new CliError(`${flag} ${text}: expected a whole number from ${least} to ${most}.`, 2);
}
