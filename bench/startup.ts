/**
 * I2, E2, E3: what a start costs, beside a bare `node -e 0` in the same rounds. Runs the compiled program (npm run build).
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
import { type BenchOptions, type Goal, goal, type Round } from './goal.ts';

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

async function stop(started: Started): Promise<void> {
  started.child.kill('SIGTERM');
  if (started.child.exitCode === null) await once(started.child, 'exit');
}

async function embedded(count: number): Promise<Goal[]> {
  const first: Round[] = [];
  const later: Round[] = [];
  const enqueue: Round[] = [];
  const idle: Round[] = [];
  for (let round = 0; round < count; round += 1) {
    const dataDir = await mkdtemp(join(tmpdir(), 'jobfleet-bench-start-'));
    const cold = await startUp(dataDir);
    first.push({ theirs: timed(['-e', '0']), ours: cold.toFirstJobMs });
    await stop(cold);
    const warm = await startUp(dataDir);
    later.push({ theirs: timed(['-e', '0']), ours: warm.toFirstJobMs });
    const env = { ...process.env, JOBFLEET_URL: warm.url, JOBFLEET_KEY: warm.key };
    const payload = JSON.stringify({ to: 'ada@example.com', template: 'welcome' });
    enqueue.push({
      theirs: timed(['-e', '0']),
      ours: timed([program, 'enqueue', 'email-sending', '--payload', payload], env),
    });
    await wait(3_000); // idle: let the start's garbage go
    const bare = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); process.stdout.write("up")'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(bare.stdout, 'data');
    const server = readFileSync(join(dataDir, 'queue', 'postmaster.pid'), 'utf8').split('\n')[0];
    idle.push({ theirs: pssMb(bare.pid ?? 0), ours: pssMb(warm.child.pid ?? 0, Number(server)) });
    bare.kill('SIGKILL');
    await stop(warm);
    await rm(dataDir, { recursive: true, force: true });
  }
  return [
    goal(
      { goal: 'E2', name: 'first start of up to first job done, ms, against node -e 0', backend: 'embedded' },
      first,
    ),
    goal(
      { goal: 'E2', name: 'later start of up to first job done, ms, against node -e 0', backend: 'embedded' },
      later,
    ),
    goal({ goal: 'I2', name: 'jobfleet enqueue, ms, against node -e 0', backend: 'embedded' }, enqueue),
    goal(
      { goal: 'E3', name: 'idle memory of up and its server, MB PSS, against a bare node', backend: 'embedded' },
      idle,
    ),
  ];
}

export async function run({ quick }: BenchOptions): Promise<Goal[]> {
  const count = quick ? 3 : 9;
  return [
    goal(
      { goal: 'I2', name: 'jobfleet --help, ms, against node -e 0', backend: '-' },
      rounds(count, () => timed([program, '--help'])),
    ),
    goal(
      { goal: 'I2', name: 'import of the producer client, ms, against node -e 0', backend: '-' },
      rounds(count, () => timed(['--input-type=module', '-e', `await import(${JSON.stringify(client)})`])),
    ),
    ...(await embedded(quick ? 1 : 3)),
  ];
}
