import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { openBackend } from '../backends/open.ts';
import { defineHandler, defineJob } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { createClient } from '../producers/client.ts';
import { parseEnv } from '../runtime/env.ts';
import { createLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { openFolderStore } from '../runtime/object-store-folder.ts';
import { workersEnv } from './env.ts';
import { startWorkers } from './main.ts';

let folder: string;
let backend: Backend;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-recheck-'));
  backend = await openBackend('embedded:memory', { onError: () => undefined });
});
afterAll(async () => {
  await backend.close();
  await rm(folder, { recursive: true, force: true });
});

it('a type that lacked a program and a secret is served once both are there, without a restart', async () => {
  const job = defineJob({ name: 'lacking', summary: 'Lacks.', payload: z.strictObject({}), result: z.string() });
  let program: string | undefined = 'ffmpeg is not on the PATH';
  const handler = defineHandler(job, {
    env: z.object({ SOME_TOKEN: z.string() }),
    missing: async () => program,
    open: ({ SOME_TOKEN }): { token: string; close?: () => void } => ({ token: SOME_TOKEN }),
    run: async (_payload, _ctx, { token }) => token,
  });
  const registry: Registry = {
    jobs: new Map([[job.name, job]]),
    find: (name) => (name === job.name ? job : undefined),
    handler: async () => handler,
    handlerUrl: () => import.meta.url,
  };
  const client = createClient({ backend, registry });
  const secret = join(folder, 'token');
  const fleet = await startWorkers({
    registry,
    backend,
    client,
    objects: await openFolderStore(join(folder, 'objects')),
    log: createLog({ name: 'worker', destination: new Writable({ write: (_chunk, _encoding, done) => done() }) }),
    metrics: createMetrics(),
    env: parseEnv(workersEnv, { WORK_DIR: folder }),
    handlerEnv: { SOME_TOKEN_FILE: secret },
    recheckMs: 20,
  });
  try {
    const { id } = await client.enqueue(job, {});
    expect([fleet.serves, fleet.unavailable.get('lacking')]).toEqual([[], expect.stringContaining('SOME_TOKEN')]);
    expect(fleet.ready()).toMatch(/None of the job types can run here/);
    await writeFile(secret, 'from a file');
    await vi.waitFor(() => expect(fleet.unavailable.get('lacking')).toBe(program), 10_000);
    program = undefined;
    await vi.waitFor(async () => expect((await client.status(id))?.result).toBe('from a file'), 10_000);
    expect([fleet.serves, fleet.unavailable.size, fleet.ready()]).toEqual([['lacking'], 0, undefined]);
    // Uninstalled while the worker runs: what is queued waits instead of failing, until it is back.
    program = 'ffmpeg is gone';
    await vi.waitFor(() => expect(fleet.unavailable.get('lacking')).toBe(program), 10_000);
    expect([fleet.serves, fleet.ready()]).toEqual([[], expect.stringContaining('ffmpeg is gone')]);
    const { id: waiting } = await client.enqueue(job, {});
    // The last claim of the loop may meet it, and gives it back: nothing is held against the job.
    await vi.waitFor(async () => expect(await client.status(waiting)).toMatchObject({ attempt: 0 }), 10_000);
    program = undefined;
    await vi.waitFor(async () => expect((await client.status(waiting))?.status).toBe('completed'), 10_000);
    expect(await client.status(waiting)).toMatchObject({ attempt: 1, interruptions: 0 });
  } finally {
    await fleet.stop(2_000);
  }
});
