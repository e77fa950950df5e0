/** A supervisor and its worker processes, all real: they are killed, grow, crash, and outlive nobody. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { listWorkers } from '../backends/worker-list.ts';
import { program } from './support/compiled.ts';
import { openStage, type Stage } from './support/fleet.ts';
import acting from './support/fleet-jobs/acting/job.ts';

vi.setConfig({ testTimeout: 150_000 });
const patience = { timeout: 60_000, interval: 100 };

interface Supervisor {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exited: Promise<number | null>;
  get(path: string): Promise<{ status: number; text: string }>;
}

let stage: Stage;
const started: Supervisor[] = [];
beforeEach(async () => {
  stage = await openStage('embedded');
});
afterEach(async () => {
  for (const { child, exited } of started.splice(0)) {
    child.kill('SIGKILL');
    await exited;
  }
  // None of its processes lives longer than the supervisor and their way out.
  await vi.waitFor(async () => expect(await pids()).toEqual([]), patience);
  await stage.close();
});

async function supervise(env: Readonly<Record<string, string>> = {}): Promise<Supervisor> {
  const child = spawn(process.execPath, program('tests/support/supervised-process.ts'), {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      QUEUE_URL: stage.queueUrl,
      STORAGE_URL: `file:${join(stage.folder, 'objects')}`,
      WORK_DIR: stage.folder,
      LEASE_MS: '1000',
      SHUTDOWN_MS: '3000',
      PORT: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += String(chunk)));
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const url = () => /health at (http:\S+)/.exec(text)?.[1] ?? '';
  const supervisor: Supervisor = {
    child,
    output: () => text,
    exited,
    get: async (path) => {
      const answer = await fetch(url() + path);
      return { status: answer.status, text: await answer.text() };
    },
  };
  started.push(supervisor);
  await vi.waitFor(() => {
    if (url() === '') throw new Error(`not up:\n${text}`);
  }, patience);
  return supervisor;
}

/** Worker processes of this stage that are there now. */
async function pids(): Promise<number[]> {
  const { backend } = await stage.open();
  const workers = await listWorkers(backend.records);
  return workers
    .map(({ pid }) => pid)
    .filter(isThere)
    .toSorted((a, b) => a - b);
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function untilReady(supervisor: Supervisor, processes: number): Promise<number[]> {
  return vi.waitFor(async () => {
    const found = await pids();
    if (found.length !== processes || (await supervisor.get('/readyz')).status !== 200)
      throw new Error(`${found.length} processes\n${supervisor.output()}`);
    return found;
  }, patience);
}

describe('a supervisor', () => {
  it('runs jobs in its processes, starts a killed one again, reports for all, and drains them all', async () => {
    const { client } = await stage.open();
    const supervisor = await supervise();
    const [first = 0, second = 0] = await untilReady(supervisor, 2);
    expect((await supervisor.get('/livez')).status).toBe(200);
    await vi.waitFor(async () => {
      const { text } = await supervisor.get('/metrics');
      for (const process of [1, 2]) expect(text).toContain(`jobfleet_worker_up{queue="acting",process="${process}"} 1`);
    }, patience);
    process.kill(first, 'SIGKILL');
    const { id } = await client.enqueue(acting, { act: 'effect' });
    await stage.reaches(id, 'completed');
    const again = await vi.waitFor(async () => {
      const found = await untilReady(supervisor, 2);
      expect(found).not.toContain(first);
      return found;
    }, patience);
    expect(again).toContain(second);
    await expect.poll(supervisor.output, patience).toMatch(/"signal":"SIGKILL".*"restartMs":500.*worker process died/);
    const slow = await client.enqueue(acting, { act: 'slow' });
    await stage.started(slow.id);
    supervisor.child.kill('SIGTERM');
    expect(await supervisor.exited).toBe(0);
    expect(again.filter(isThere)).toEqual([]);
    expect(await stage.reaches(slow.id, 'waiting', 'delayed')).toMatchObject({ attempt: 0, interruptions: 1 });
    for (const line of supervisor
      .output()
      .split('\n')
      .filter((one) => one.startsWith('{')))
      expect(() => JSON.parse(line)).not.toThrow();
  });

  it('that is killed leaves no orphan: its processes hand their jobs back and end', async () => {
    const { client } = await stage.open();
    const supervisor = await supervise();
    const found = await untilReady(supervisor, 2);
    const jobs = [await client.enqueue(acting, { act: 'slow' }), await client.enqueue(acting, { act: 'deaf' })];
    for (const { id } of jobs) await stage.started(id);
    supervisor.child.kill('SIGKILL');
    await vi.waitFor(() => expect(found.filter(isThere)).toEqual([]), patience);
    for (const { id } of jobs)
      expect(await stage.reaches(id, 'waiting', 'delayed')).toMatchObject({ attempt: 0, interruptions: 1 });
  });

  it('that is killed takes a process along whose main loop is blocked', async () => {
    const { client } = await stage.open();
    const supervisor = await supervise({ PROCESSES: '1' });
    const found = await untilReady(supervisor, 1);
    const { id } = await client.enqueue(acting, { act: 'spin' });
    await stage.started(id);
    supervisor.child.kill('SIGKILL');
    await vi.waitFor(() => expect(found.filter(isThere)).toEqual([]), patience);
  });

  it('ends all at once at a second signal', async () => {
    const { client } = await stage.open();
    const supervisor = await supervise({ SHUTDOWN_MS: '60000' });
    const found = await untilReady(supervisor, 2);
    const { id } = await client.enqueue(acting, { act: 'slow' });
    await stage.started(id);
    supervisor.child.kill('SIGINT');
    await expect.poll(supervisor.output, patience).toContain('"msg":"shutting down"');
    supervisor.child.kill('SIGINT');
    expect(await supervisor.exited).toBe(130);
    await vi.waitFor(() => expect(found.filter(isThere)).toEqual([]), patience);
  });

  it('says a crash loop aloud, waits longer each time, and is not ready', async () => {
    const supervisor = await supervise({ MISBEHAVE: 'die', PROCESSES: '1' });
    await vi.waitFor(async () => {
      const { status, text } = await supervisor.get('/readyz');
      expect(text).toMatch(/Worker process 1 died \d+ times in a row, the last time with code 70/);
      expect(status).toBe(503);
    }, patience);
    await expect.poll(supervisor.output, patience).toContain('crash loop: a worker process keeps dying');
    const waits = Array.from(supervisor.output().matchAll(/"restartMs":(\d+)/g), ([, ms]) => Number(ms));
    expect(waits.slice(0, 5)).toEqual([500, 1_000, 2_000, 4_000, 8_000]);
  });

  it('replaces a process that has grown too large, the new one first', async () => {
    const supervisor = await supervise({
      MISBEHAVE: 'grow',
      GROWN: join(stage.folder, 'grown'),
      PROCESSES: '1',
      MAX_MEMORY: '450',
    });
    await expect.poll(supervisor.output, patience).toContain('worker process replaced: too large');
    const seen = new Set<string>();
    await vi.waitFor(async () => {
      const { status } = await supervisor.get('/readyz');
      seen.add(String(status));
      expect(supervisor.output()).toContain('"msg":"shut down"');
    }, patience);
    expect(supervisor.output()).not.toContain('worker process died');
    expect([...seen]).toEqual(['200']);
    expect(await untilReady(supervisor, 1)).toHaveLength(1);
  });
});
