/**
 * I2, E2, E3: what a start costs, beside a bare `node -e 0` in the same rounds, nine of them. Runs the compiled program (npm run build).
 * Times are wall milliseconds of whole processes; memory is PSS in MB (shared pages counted once).
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { openBackend } from '../backends/open.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { createClient } from '../producers/client.ts';
import { atMost, type BenchOptions, type Goal, goal, type Round, type Target } from './goal.ts';
import { startRedis } from './servers.ts';
import { startSmtp } from './smtp-server.ts';

// The benches are compiled elsewhere; what is measured is the program as users start it, from the folder npm runs us in.
const program = resolve('cli/jobfleet.js');
const client = pathToFileURL(resolve('dist/producers/client.js')).href;

function timed(args: readonly string[], env: NodeJS.ProcessEnv = process.env): number {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} exited with ${status}: ${stderr}`);
  return performance.now() - start;
}

function rounds(count: number, measure: () => number): Round[] {
  return Array.from({ length: count }, () => ({ theirs: timed(['-e', '0']), ours: measure() }));
}

/** PSS of some processes and everything below them, each counted once, in MB. The embedded server may be a child of `up` or not. */
function pssMb(...roots: readonly number[]): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((it) => /^\d+$/.test(it))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // ended between the two reads
    }
  }
  const below = (pid: number): boolean => roots.includes(pid) || (parents.has(pid) && below(parents.get(pid) ?? 0));
  let kb = 0;
  for (const pid of parents.keys()) {
    if (below(pid)) kb += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
  }
  return kb / 1_024;
}

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  readonly key: string;
  readonly toFirstJobMs: number;
}

async function call(
  url: string,
  key: string,
  path: string,
  body?: unknown,
): Promise<{ readonly id?: string; readonly status?: string }> {
  const response = await fetch(new URL(path, url), {
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as { readonly id?: string; readonly status?: string };
}

/** `jobfleet up` on a folder, until its first job is completed. */
async function startUp(dataDir: string): Promise<Started> {
  const begin = performance.now();
  await rm(join(dataDir, 'client.json'), { force: true });
  const child = spawn(process.execPath, [program, 'up'], {
    env: {
      ...process.env,
      DATA_DIR: dataDir,
      PORT: '0',
      LOG_LEVEL: 'warn',
      QUEUE_URL: `embedded:${join(dataDir, 'queue')}`,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  while (!existsSync(join(dataDir, 'client.json'))) {
    if (child.exitCode !== null) throw new Error(`jobfleet up ended with ${child.exitCode}`);
    await wait(5);
  }
  const { url, key } = JSON.parse(await readFile(join(dataDir, 'client.json'), 'utf8')) as { url: string; key: string };
  const { id } = await call(url, key, '/v1/jobs', {
    type: 'email-sending',
    payload: { to: 'ada@example.com', template: 'welcome' },
  });
  while ((await call(url, key, `/v1/jobs/${id ?? ''}`)).status !== 'completed') await wait(5);
  return { child, url, key, toFirstJobMs: performance.now() - begin };
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'exit');
}

/** From the start of a worker to the end of a job that waits for it, on Redis. */
async function readyAndFirstJob(count: number): Promise<Goal> {
  const server = await startRedis();
  const smtp = await startSmtp();
  const backend = await openBackend(server.url, { onError: (error) => process.stderr.write(`${error.message}\n`) });
  const producer = createClient({ backend, registry: await loadRegistry() });
  const found: Round[] = [];
  for (let round = 0; round < count; round += 1) {
    const { id } = await producer.enqueueNamed('email-sending', { to: 'ada@example.com', template: 'welcome' });
    const theirs = timed(['-e', '0']);
    const begin = performance.now();
    const child = spawn(process.execPath, [program, 'worker', '--queues', 'email-sending'], {
      env: { ...process.env, QUEUE_URL: server.url, SMTP_URL: smtp.url, PORT: '0', LOG_LEVEL: 'warn' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    while ((await producer.status(id))?.status !== 'completed') {
      if (child.exitCode !== null) throw new Error(`jobfleet worker ended with ${child.exitCode}`);
      await wait(5);
    }
    found.push({ theirs, ours: performance.now() - begin });
    await stop(child);
  }
  await backend.close();
  smtp.stop();
  await server.close();
  const name = 'worker started to its first job done, ms, against node -e 0';
  return goal({ goal: 'I2', name, backend: 'redis' }, found);
}

/** MB that a process has taken at most when it has imported the client. */
function importMb(): number {
  const code = `await import(${JSON.stringify(client)}); process.stdout.write(String(process.resourceUsage().maxRSS))`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the import of the client ended with ${status}: ${stderr}`);
  return Number(stdout) / 1_024;
}

const bareMb = (): number => {
  const code = 'process.stdout.write(String(process.resourceUsage().maxRSS))';
  return Number(spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' }).stdout) / 1_024;
};

/** A first start, a later one, an `enqueue` and idle memory, on a folder of its own. */
async function embeddedRound(round: Readonly<Record<'enqueue' | 'first' | 'idle' | 'later', Round[]>>): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'jobfleet-bench-start-'));
  const cold = await startUp(dataDir);
  round.first.push({ theirs: timed(['-e', '0']), ours: cold.toFirstJobMs });
  await stop(cold.child);
  const warm = await startUp(dataDir);
  round.later.push({ theirs: timed(['-e', '0']), ours: warm.toFirstJobMs });
  const env = { ...process.env, JOBFLEET_URL: warm.url, JOBFLEET_KEY: warm.key };
  const payload = JSON.stringify({ to: 'ada@example.com', template: 'welcome' });
  round.enqueue.push({
    theirs: timed(['-e', '0']),
    ours: timed([program, 'enqueue', 'email-sending', '--payload', payload], env),
  });
  await wait(3_000); // idle: let the start's garbage go
  const bare = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); process.stdout.write("up")'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(bare.stdout, 'data');
  const server = readFileSync(join(dataDir, 'queue', 'postmaster.pid'), 'utf8').split('\n')[0];
  round.idle.push({ theirs: pssMb(bare.pid ?? 0), ours: pssMb(warm.child.pid ?? 0, Number(server)) });
  bare.kill('SIGKILL');
  await stop(warm.child);
  await rm(dataDir, { recursive: true, force: true });
}

async function embedded(count: number): Promise<Goal[]> {
  const found = { first: [] as Round[], later: [] as Round[], enqueue: [] as Round[], idle: [] as Round[] };
  for (let round = 0; round < count; round += 1) await embeddedRound(found);
  const line = (number: string, name: string, rounds: Round[], target: Target): Goal =>
    goal({ goal: number, name, backend: 'embedded' }, rounds, target);
  return [
    line('E2', 'first start of up to first job done, ms, against node -e 0', found.first, atMost(2_000, 4_000, 'ours')),
    line('E2', 'later start of up to first job done, ms, against node -e 0', found.later, atMost(600, 1_200, 'ours')),
    line('I2', 'jobfleet enqueue, ms, against node -e 0', found.enqueue, atMost(400, 800, 'ours')),
    line('E3', 'idle memory of up and its server, MB PSS, against a bare node', found.idle, atMost(220, 300, 'ours')),
  ];
}

/** Absolute limits, as §2 of the design has them: a start is what a person waits for. */
export async function run({ quick, backend }: BenchOptions): Promise<Goal[]> {
  const count = quick ? 3 : 9;
  const goals: Goal[] = [];
  if (backend === undefined)
    goals.push(
      goal(
        { goal: 'I2', name: 'jobfleet --help, ms, against node -e 0', backend: '-' },
        rounds(count, () => timed([program, '--help'])),
        atMost(150, 250, 'ours'),
      ),
      goal(
        { goal: 'I2', name: 'import of the producer client, ms, against node -e 0', backend: '-' },
        rounds(count, () => timed(['--input-type=module', '-e', `await import(${JSON.stringify(client)})`])),
        atMost(250, 500, 'ours'),
      ),
      goal(
        { goal: 'I2', name: 'memory after the import of the producer client, MB, against a bare node', backend: '-' },
        Array.from({ length: 3 }, () => ({ ours: importMb(), theirs: bareMb() })),
        atMost(80, 110, 'ours'),
      ),
    );
  if (backend === undefined || backend === 'redis') goals.push(await readyAndFirstJob(count));
  if (backend === undefined || backend === 'embedded') goals.push(...(await embedded(quick ? 1 : 9)));
  return goals;
}
