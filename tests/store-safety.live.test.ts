import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type RedisServer, startRedis } from './support/redis-servers.ts';

const run = promisify(execFile);
const program = join(process.cwd(), 'cli/jobfleet.js');
const leaseMs = 5_000;
const answer = z.object({ status: z.string(), reason: z.string().optional() });
const report = z.object({
  findings: z.array(
    z.object({
      check: z.string(),
      state: z.string(),
      detail: z.string(),
      why: z.string().optional(),
      fix: z.string().optional(),
    }),
  ),
});

describe.skipIf(process.env['TEST_REDIS_URL'] === undefined)('a Redis that is not safe', () => {
  let server: RedisServer;
  let child: ChildProcess | undefined;
  let said = '';
  beforeEach(async () => {
    said = '';
    server = await startRedis({ settings: { 'maxmemory-policy': 'allkeys-lru' } });
  });
  afterEach(async () => {
    if (child?.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    child = undefined;
    await server.stop();
  });

  const environment = async (): Promise<NodeJS.ProcessEnv> => ({
    ...process.env,
    NODE_ENV: 'development',
    QUEUE_URL: server.url,
    DATA_DIR: await mkdtemp(join(tmpdir(), 'jobfleet-safety-')),
    PORT: '0',
  });

  /** `jobfleet api`; what it says lands in `said`. */
  const startApi = async (): Promise<void> => {
    const started = spawn(process.execPath, [program, 'api'], {
      env: await environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [started.stdout, started.stderr])
      stream.on('data', (text: Buffer) => (said += text.toString()));
    child = started;
  };
  const url = async (): Promise<string> => {
    const found = () => /API ready at (\S+)\/v1/.exec(said)?.[1];
    await expect.poll(found, { timeout: 30_000 }).toBeDefined();
    return found() ?? '';
  };
  const readiness = async (at: string) => answer.parse(await (await fetch(`${at}/readyz`)).json());

  it('is refused by doctor, with its cost and the way out', async () => {
    const failed: unknown = await run(process.execPath, [program, 'doctor', '--json'], {
      env: await environment(),
    }).catch((error: unknown) => error);
    const { code, stdout } = z.object({ code: z.literal(1), stdout: z.string() }).parse(failed);
    expect(code).toBe(1);
    const { findings } = report.parse(JSON.parse(stdout));
    expect(findings.find(({ check }) => check === 'jobs: eviction')).toMatchObject({
      state: 'unsafe',
      detail: expect.stringContaining('allkeys-lru'),
      why: expect.stringContaining('deletes accepted jobs'),
      fix: expect.stringContaining('maxmemory-policy noeviction'),
    });
  });

  it('keeps a process from being ready, also when it becomes so later, within a lease', async () => {
    await startApi();
    const at = await url();
    expect(await readiness(at)).toMatchObject({
      status: 'unavailable',
      reason: 'the store of jobs is unsafe (eviction): jobfleet doctor says why and what to do',
    });
    expect(said).toMatch(/evicts keys .*allkeys-lru.*CONFIG SET maxmemory-policy noeviction/);
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await expect.poll(() => readiness(at), { timeout: leaseMs }).toEqual({ status: 'ok' });
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl');
    await expect.poll(() => readiness(at), { timeout: leaseMs }).toMatchObject({ status: 'unavailable' });
    await expect.poll(() => said).toContain('volatile-ttl');
  });

  it('is waited for while it is not there, and that is said', async () => {
    await server.kill();
    await startApi();
    await expect
      .poll(() => said, { timeout: 30_000 })
      .toMatch(/does not answer \(connect ECONNREFUSED .*start it, or correct QUEUE_URL\. Trying again in 2 s\./);
    await server.start();
    expect(await readiness(await url())).toMatchObject({
      status: 'unavailable',
      reason: expect.stringContaining('unsafe'),
    });
  });
});
