/** Worker processes for tests that kill them, and the store they share with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import type { Backend } from '../../backends/backend.ts';
import { openEmbedded } from '../../backends/embedded/server.ts';
import { openBackend } from '../../backends/open.ts';
import { type Client, createClient, type JobStatus } from '../../producers/client.ts';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { openFolderStore } from '../../runtime/object-store-folder.ts';
import { program } from './compiled.ts';
import { crowding } from './crowding.ts';
import { type JobsOf, registryOf } from './registries.ts';

const waitMs = (): number => 45_000 * Math.min(4, crowding());

export interface WorkerProcess {
  readonly child: ChildProcess;
  /** Everything it has printed so far. */
  readonly output: () => string;
  /** Resolves when it has ended. */
  readonly exited: Promise<{
    readonly code: number | null;
    readonly signal: NodeJS.Signals | null;
    readonly at: number;
  }>;
}

export interface Stage {
  readonly folder: string;
  readonly queueUrl: string;
  /** Where its workers keep inputs and results. */
  readonly objects: ObjectStore;
  /** Resolves when the process claims. Killed at the end of the stage if it is still there. */
  start(env?: Readonly<Record<string, string>>): Promise<WorkerProcess>;
  /** The test's own view of the store; opened by the first call. */
  open(): Promise<{ readonly backend: Backend; readonly client: Client }>;
  /** Objects `<what>/<id>/…` that jobs left behind. */
  count(what: 'effect' | 'started', id: string): Promise<number>;
  /** Resolves when the job is in one of the states. */
  reaches(id: string, ...states: readonly JobStatus['status'][]): Promise<JobStatus>;
  /** Resolves when the job's handler has said that it runs. */
  started(id: string): Promise<void>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * `store`: `embedded`, `postgres` (a server of the stage) or a redis:// address whose test queues are emptied first.
 * `jobs`: see registries.ts.
 */
export async function openStage(store: string, jobs: JobsOf = 'acting'): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-stage-'));
  // Children under ids of their own pass through it to their folders.
  await chmod(folder, 0o711);
  const objects: ObjectStore = await openFolderStore(join(folder, 'objects'));
  const server = store === 'postgres' ? await openEmbedded(join(folder, 'server'), { onError: ignore }) : undefined;
  const queueUrl = server?.url ?? (store === 'embedded' ? `embedded:${join(folder, 'queue')}` : store);
  const workers: WorkerProcess[] = [];
  let opened: Promise<{ readonly backend: Backend; readonly client: Client }> | undefined;
  const open = () => (opened ??= openView(queueUrl, jobs));
  const stage: Stage = {
    folder,
    queueUrl,
    objects,
    async start(env = {}) {
      return startWorker(
        {
          QUEUE_URL: queueUrl,
          STORAGE_URL: `file:${join(folder, 'objects')}`,
          WORK_DIR: folder,
          JOBS: jobs,
          ...env,
        },
        workers,
      );
    },
    open,
    async count(what, id) {
      const keys: string[] = [];
      for await (const { key } of objects.list(`t/-/${what}/${id}/`)) keys.push(key);
      return keys.length;
    },
    async reaches(id, ...states) {
      const { client } = await open();
      return vi.waitFor(async () => {
        const status = await client.status(id);
        // The reason is stored with the state; a read that met the job in between shows only one of them.
        const isHalf = status?.status === 'failed' && status.error === null;
        if (status === undefined || isHalf || !states.includes(status.status))
          throw new Error(
            `${id} is ${JSON.stringify(status)}\n${workers.map((worker) => worker.output()).join('\n---\n')}`,
          );
        return status;
      }, waitMs());
    },
    async started(id) {
      await vi.waitFor(async () => {
        if ((await stage.count('started', id)) === 0) throw new Error(`${id} does not run`);
      }, waitMs());
    },
    async close() {
      for (const { child, exited } of workers) {
        child.kill('SIGKILL');
        await exited;
      }
      if (opened !== undefined) await (await opened).backend.close();
      await server?.close();
      await objects.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
    [Symbol.asyncDispose]: () => stage.close(),
  };
  return stage;
}

function ignore(): undefined {
  return undefined;
}

async function openView(queueUrl: string, jobs: JobsOf) {
  const backend = await openBackend(queueUrl, { onError: ignore });
  const registry = await registryOf(jobs);
  if (backend.kind === 'redis')
    for (const name of registry.jobs.keys()) await backend.queue(name).obliterate({ force: true });
  return { backend, client: createClient({ backend, registry }) };
}

/** Resolves when the process claims. `started` has it from its first moment on, for whoever ends it. */
export async function startWorker(
  env: Readonly<Record<string, string>>,
  started: WorkerProcess[] = [],
): Promise<WorkerProcess> {
  const worker = startProcess(env);
  started.push(worker);
  await vi.waitFor(() => {
    if (!worker.output().includes('ready\n')) throw new Error(`The worker is not ready:\n${worker.output()}`);
  }, waitMs());
  return worker;
}

/** How long the last lines of a process that has ended may take. */
const pipesMs = 500;

function startProcess(env: Readonly<Record<string, string>>): WorkerProcess {
  const child = spawn(process.execPath, program('tests/support/fleet-process.ts'), {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], LEASE_MS: '1000', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += String(chunk)));
  const exited = new Promise<Awaited<WorkerProcess['exited']>>((resolve) =>
    child.once('exit', (code, signal) => {
      const ended = { code, signal, at: Date.now() };
      // Its last lines may still be on their way; a server that it left behind keeps the pipes open.
      child.once('close', () => resolve(ended));
      setTimeout(() => resolve(ended), pipesMs).unref();
    }),
  );
  return { child, output: () => text, exited };
}

/** Kills every process of the PostgreSQL server of a data directory, as a power cut would. */
export async function killServer(dir: string): Promise<void> {
  const [pid = ''] = (await readFile(join(dir, 'postmaster.pid'), 'utf8')).split('\n');
  const own = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name))
      .map(async (name) => {
        const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
        return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === pid ? Number(name) : undefined;
      }),
  );
  for (const one of [Number(pid), ...own.filter((found) => found !== undefined)]) killOne(one);
}

/** Gone already is fine: a postmaster's helpers end with it. */
function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
