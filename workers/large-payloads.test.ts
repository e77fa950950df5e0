import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openBackend } from '../backends/open.ts';
import { defaultPolicy } from '../jobs/policy.ts';
import { openFolderStore } from '../runtime/object-store-folder.ts';
import { offloadedLimitBytes, storePayload } from '../runtime/payload-objects.ts';
import handler from '../tests/support/fleet-jobs/acting/handler.ts';
import { largePayloads } from '../tests/support/large-payloads.suite.ts';
import { openPool } from './isolate/pool.ts';
import { runJob } from './testing.ts';

largePayloads('embedded:memory', () => openBackend('embedded:memory', { onError: () => undefined }));

it('a payload of 10 MiB reaches a handler in a child', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-large-child-'));
  await chmod(folder, 0o711);
  const objects = await openFolderStore(join(folder, 'objects'));
  const type = {
    name: 'acting',
    handlerUrl: new URL('../tests/support/fleet-jobs/acting/handler.ts', import.meta.url).href,
    policy: { ...defaultPolicy, isolation: 'child' as const },
    env: {},
    spares: 0,
  };
  const log = { warn: () => undefined, error: () => undefined };
  const pool = await openPool({ types: [type], log, environment: process.env, base: join(folder, 'children') });
  try {
    const id = 'acting_CHILD';
    const act = { act: 'echo', text: '' };
    const json = JSON.stringify({ ...act, text: 'x'.repeat(offloadedLimitBytes - JSON.stringify(act).length) });
    const pointer = await storePayload(objects, 'acting', id, json);
    expect(pointer.bytes).toBe(offloadedLimitBytes);
    await using run = await runJob(handler, pointer, { id, objects, pool });
    // It echoes its text, and a child may answer 64 KiB: the refusal tells how much it had got.
    expect(run.outcome).toEqual({ state: 'dead', code: 'RESULT_INVALID' });
    expect(run.error?.message).toMatch(/^result of 104857\d\d bytes/);
  } finally {
    await pool.close();
    await rm(folder, { recursive: true, force: true });
  }
});
