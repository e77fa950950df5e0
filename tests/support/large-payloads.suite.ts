/** What holds for payloads and results over 256 KiB, whatever the store of jobs: one suite, run on each. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { Job as StoredJob } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../../backends/backend.ts';
import { createDeadLetters } from '../../backends/dead-letters.ts';
import { payloadSweep } from '../../backends/payload-sweep.ts';
import { loadRegistry } from '../../jobs/registry.ts';
import { type Client, createClient, type JobStatus } from '../../producers/client.ts';
import { parseEnv } from '../../runtime/env.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { openFolderStore } from '../../runtime/object-store-folder.ts';
import { workersEnv } from '../../workers/env.ts';
import { type Fleet, startWorkers } from '../../workers/main.ts';
import acting from './fleet-jobs/acting/job.ts';

const inline = 262_144;
/** Bytes of `{"act":"echo","text":""}`. */
const around = JSON.stringify({ act: 'echo', text: '' }).length;

export function largePayloads(name: string, open: () => Promise<Backend>): void {
  describe(`payloads and results over 256 KiB: ${name}`, () => {
    let folder: string;
    let backend: Backend;
    let objects: ObjectStore;
    let client: Client;
    /** Has no object store. */
    let bare: Client;
    let fleet: Fleet;
    let logged = '';
    const queues = ['acting', 'hasty'];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'jobfleet-large-'));
      await chmod(folder, 0o711);
      objects = await openFolderStore(join(folder, 'objects'));
      backend = await open();
      for (const queue of queues) await backend.queue(queue).obliterate({ force: true });
      const registry = await loadRegistry(new URL('./fleet-jobs/', import.meta.url));
      client = createClient({ backend, registry, objects });
      bare = createClient({ backend, registry });
      const destination = new Writable({
        write(chunk, _encoding, done) {
          logged += String(chunk);
          done();
        },
      });
      fleet = await startWorkers({
        registry,
        backend,
        client,
        objects,
        log: createLog({ name: 'worker', destination }),
        metrics: createMetrics(),
        env: parseEnv(workersEnv, { WORK_DIR: folder }),
        handlerEnv: {},
      });
    });
    afterAll(async () => {
      await fleet?.stop(2_000);
      for (const queue of queues) await backend?.queue(queue).obliterate({ force: true });
      await backend?.close();
      await rm(folder, { recursive: true, force: true });
    });

    const ends = (id: string): Promise<JobStatus> =>
      vi.waitFor(async () => {
        const status = await client.status(id);
        if (status?.finishedAt == null || (status.status === 'failed' && status.error === null))
          throw new Error(`${id} has not ended: ${status?.status}`);
        return status;
      }, 15_000);
    const kept = async (folder = 'payloads/'): Promise<string[]> => {
      const keys: string[] = [];
      for await (const { key } of objects.list(folder)) keys.push(key);
      return keys;
    };
    const resultKeyOf = (id: string) => `results/acting/${id}/1.json`;
    const keyOf = (id: string) => `payloads/acting/${id}.json`;
    /** Far in the future, so that no worker takes the job. */
    const resting = { delayMs: 3_600_000 };
    const large = 'x'.repeat(inline);

    it.each([
      ['262,143 bytes', inline - 1, false],
      ['262,144 bytes', inline, false],
      ['262,145 bytes', inline + 1, true],
      ['almost 10 MiB', 10 * 1_048_576 - 100, true],
    ])('of %s arrive whole, beside the job only when they must', async (_title, bytes, isKept) => {
      const text = 'é'.repeat(10) + 'x'.repeat(bytes - around - 20);
      const { id } = await client.enqueue(acting, { act: 'echo', text });
      expect((await objects.head(keyOf(id)))?.sizeBytes).toBe(isKept ? bytes : undefined);
      const stored = await backend.queue('acting').getJob(id);
      expect('$object' in (stored?.data ?? {})).toBe(isKept);
      const { status, result } = await ends(id);
      expect(status).toBe('completed');
      expect(acting.result.parse(result).text === text).toBe(true);
    });

    it.each([
      [inline, false],
      [inline + 1, true],
    ])('a result of %i bytes is read whole, and kept beside its job only when it must', async (bytes, isKept) => {
      const rest = JSON.stringify({ text: '', attempt: 1, fence: 1 }).length;
      const text = 'x'.repeat(bytes - rest);
      const { id } = await client.enqueue(acting, { act: 'echo', text });
      expect((await ends(id)).result).toEqual({ text, attempt: 1, fence: 1 });
      expect((await objects.head(resultKeyOf(id)))?.sizeBytes).toBe(isKept ? bytes : undefined);
      const pointer = { $object: resultKeyOf(id), sha256: expect.stringMatching(/^[0-9a-f]{64}$/), bytes };
      const stored: StoredJob | undefined = await backend.queue('acting').getJob(id);
      expect(stored?.returnvalue).toEqual(isKept ? pointer : { text, attempt: 1, fence: 1 });
      expect((await bare.status(id))?.result).toEqual(stored?.returnvalue);
    });

    it('a result of over 10 MiB is refused: the job is a dead letter that says what to do', async () => {
      const { id } = await client.enqueue(acting, { act: 'echo', text: 'x'.repeat(10 * 1_048_576 - around) });
      const { status, error } = await ends(id);
      expect([status, error?.code]).toEqual(['failed', 'RESULT_INVALID']);
      expect(error?.message).toContain('at most 10485760 are kept; store a file and return its object');
      expect(await objects.head(resultKeyOf(id))).toBeUndefined();
    });

    it('a result that is missing or altered is said to be lost, and nothing else is shown for it', async () => {
      const { id } = await client.enqueue(acting, { act: 'echo', text: large });
      await ends(id);
      const lost = { status: 'completed', result: null, error: { code: 'RESULT_LOST' } };
      await writeFile(join(folder, 'objects/objects', resultKeyOf(id)), JSON.stringify({ text: 'evil' }));
      expect(await client.status(id)).toMatchObject(lost);
      await objects.delete(resultKeyOf(id));
      expect(await client.status(id)).toMatchObject(lost);
    });

    it('of 10 MiB and a byte are refused, and nothing is kept', async () => {
      const before = await kept();
      const text = 'x'.repeat(10 * 1_048_576 - around + 1);
      await expect(client.enqueue(acting, { act: 'echo', text })).rejects.toMatchObject({ code: 'TOO_LARGE' });
      expect(await kept()).toEqual(before);
    });

    it('are refused at an entrance for payloads nobody checked, as over HTTP', async () => {
      await expect(client.enqueueNamed('acting', { act: 'echo', text: large })).rejects.toMatchObject({
        code: 'TOO_LARGE',
      });
    });

    it('in one call with small ones come back in order, and a repeat of a key finds the first', async () => {
      const answers = await client.enqueueMany(acting, [
        { payload: { act: 'echo', text: 'small' } },
        { payload: { act: 'echo', text: large } },
      ]);
      const texts = await Promise.all(
        answers.map(async ({ id }) => acting.result.parse((await ends(id)).result).text.length),
      );
      expect(texts).toEqual([5, inline]);
      const options = { idempotencyKey: `large-${answers[0]?.id}`, ...resting };
      const first = await client.enqueue(acting, { act: 'echo', text: large }, options);
      const again = await client.enqueue(acting, { act: 'echo', text: large }, options);
      expect(again).toMatchObject({ id: first.id, duplicate: true });
    });

    it('that are missing or altered end as dead letters that say so; restored, they are redriven', async () => {
      const deadLetters = createDeadLetters({ backend, queues, checkPayload: () => 'never asked' });
      const [lost, altered] = await client.enqueueMany(acting, [
        { payload: { act: 'echo', text: large }, options: { delayMs: 1_500 } },
        { payload: { act: 'echo', text: large }, options: { delayMs: 1_500 } },
      ]);
      if (lost === undefined || altered === undefined) throw new Error('two jobs were asked for');
      await objects.delete(keyOf(lost.id));
      await writeFile(
        join(folder, 'objects/objects', keyOf(altered.id)),
        JSON.stringify({ act: 'echo', text: 'evil' }),
      );
      expect(await ends(lost.id)).toMatchObject({ status: 'failed', attempt: 1, error: { code: 'PAYLOAD_LOST' } });
      expect(await ends(altered.id)).toMatchObject({ status: 'failed', error: { code: 'PAYLOAD_LOST' } });
      const dead: StoredJob | undefined = await backend.queue('acting').getJob(lost.id);
      expect(dead?.data).toEqual({
        $object: keyOf(lost.id),
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        bytes: inline + around,
      });
      const refused = await deadLetters.redrive('acting', lost.id, { patch: { text: 'short' } });
      expect(refused).toMatchObject({ state: 'refused', reason: 'PAYLOAD_INVALID' });
      await objects.put(keyOf(lost.id), Buffer.from(JSON.stringify({ act: 'echo', text: large })), {
        contentType: 'application/json',
      });
      expect(await deadLetters.redrive('acting', lost.id)).toMatchObject({ state: 'redriven' });
      expect(await ends(lost.id)).toMatchObject({ status: 'completed' });
    });

    it('leave with their job: cancelled, discarded, removed for its age, or never stored', async () => {
      const sweep = (graceMs: number) =>
        payloadSweep({ backend, objects, queues, graceMs }).run(new AbortController().signal);
      const add = async (act: 'dead' | 'echo', options = {}) =>
        (await client.enqueue(acting, { act, text: large }, options)).id;
      const [waiting, cancelled] = [await add('echo', resting), await add('echo', resting)];
      const [discarded, removed] = [await add('dead'), await add('echo')];
      await Promise.all([ends(discarded), ends(removed)]);
      await client.cancel(cancelled);
      await createDeadLetters({ backend, queues, checkPayload: () => undefined }).discard('acting', discarded);
      await (await backend.queue('acting').getJob(removed))?.remove();
      await objects.put(keyOf('acting_neverstored'), Buffer.from('{}'), { contentType: 'application/json' });
      const before = await kept();
      expect(await kept('results/')).toContain(resultKeyOf(removed));
      await sweep(60_000);
      expect(await kept()).toEqual(before);
      // A keeper whose clock is far ahead: what counts is the store's.
      const right = Date.now;
      const clock = vi.spyOn(Date, 'now').mockImplementation(() => right() + 86_400_000);
      await sweep(60_000).finally(() => clock.mockRestore());
      expect(await kept()).toEqual(before);
      await sweep(0);
      const after = await kept();
      expect(after).toContain(keyOf(waiting));
      for (const id of [cancelled, discarded, removed, 'acting_neverstored']) expect(after).not.toContain(keyOf(id));
      expect(await kept('results/')).not.toContain(resultKeyOf(removed));
    });

    it('show in no log', async () => {
      const { id } = await client.enqueue(acting, { act: 'retry', text: large }, { attempts: 1 });
      expect(await ends(id)).toMatchObject({ status: 'failed', error: { code: 'HTTP_500' } });
      expect(logged).toContain(id);
      expect(logged).not.toContain('x'.repeat(2_000));
    });

    it('are not believed from a payload that only looks like a pointer', async () => {
      const { id } = await client.enqueue(acting, { act: 'echo', text: large }, resting);
      const pointer: unknown = (await backend.queue('acting').getJob(id))?.data;
      const jobId = `${id.slice(0, -1)}${id.endsWith('Z') ? 'Y' : 'Z'}`;
      await backend.queue('acting').add('acting', pointer, { jobId, attempts: 1 });
      expect(await ends(jobId)).toMatchObject({ status: 'failed', error: { code: 'PAYLOAD_INVALID' } });
    });
  });
}
