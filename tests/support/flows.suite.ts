/** Flows through the real client and real workers: the same tests on every store that keeps them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Backend } from '../../backends/backend.ts';
import { createDeadLetters } from '../../backends/dead-letters.ts';
import { findJobs } from '../../backends/find.ts';
import { defineHandler, defineJob, type Handler, type Job, secret } from '../../jobs/define.ts';
import { giveUp } from '../../jobs/errors.ts';
import type { Registry } from '../../jobs/registry.ts';
import { type Client, createClient, flowChild, type JobStatus } from '../../producers/client.ts';
import { parseEnv } from '../../runtime/env.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { openFolderStore } from '../../runtime/object-store-folder.ts';
import { createSecretBox } from '../../runtime/secret-box.ts';
import { workersEnv } from '../../workers/env.ts';
import { type Fleet, startWorkers } from '../../workers/main.ts';
import { findInStore } from './store-scan.ts';

const policy = { attempts: 1, backoff: { baseMs: 1, maxMs: 2 } } as const;
const part = defineJob({
  name: 'flow-part',
  summary: 'Is a child of a flow: for tests.',
  payload: z.strictObject({
    n: z.int(),
    fail: z.boolean().default(false),
    pin: secret(z.string()).optional(),
    more: z.string().default(''),
    /** So many characters in the result. */
    answer: z.int().default(0),
  }),
  result: z.object({ n: z.int(), bytes: z.int(), text: z.string().optional() }),
  policy: { ...policy, order: 'fair' },
});
const whole = defineJob({
  name: 'flow-whole',
  summary: 'Is a parent of a flow: for tests.',
  payload: z.strictObject({ title: z.string() }),
  result: z.object({ title: z.string(), children: z.unknown() }),
  policy,
  needs: ['flows'],
});
const single = defineJob({
  name: 'flow-single',
  summary: 'Cannot be part of a flow: for tests.',
  payload: z.strictObject({ n: z.int() }),
  result: z.object({}),
  uniqueKey: ({ n }) => String(n),
});
const handlers = new Map<string, Handler>([
  [
    part.name,
    defineHandler(part, {
      run: async ({ n, fail, pin = '', more, answer }) => {
        if (fail) throw giveUp('BAD_SOURCE', 'as it was told');
        return { n, bytes: pin.length + more.length, ...(answer > 0 ? { text: 'y'.repeat(answer) } : {}) };
      },
    }),
  ],
  [
    whole.name,
    defineHandler(whole, { run: async ({ title }, { children }) => ({ title, children: await children() }) }),
  ],
  [single.name, defineHandler(single, { run: async () => ({}) })],
]);
const registry: Registry = {
  jobs: new Map<string, Job>([part, whole, single].map((job) => [job.name, job])),
  find: (name) => [part, whole, single].find((job) => job.name === name),
  handlerUrl: () => '',
  handler: async (name) => {
    const handler = handlers.get(name);
    if (handler === undefined) throw new Error(`no handler of ${name}`);
    return handler;
  },
};
const hourMs = 3_600_000;

export function flowSuite(name: string, open: () => Promise<Backend>): void {
  describe(`flows: ${name}`, () => {
    let folder: string;
    let backend: Backend;
    let objects: ObjectStore;
    let client: Client;
    let fleet: Fleet;
    const queues = [...registry.jobs.keys()];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'jobfleet-flows-'));
      objects = await openFolderStore(join(folder, 'objects'));
      backend = await open();
      for (const queue of queues) await backend.queue(queue).obliterate({ force: true });
      const secrets = createSecretBox([{ id: 'a', key: 'a'.repeat(32) }]);
      client = createClient({ backend, registry, objects, secrets });
      const log = createLog({ name: 'worker', level: 'silent' });
      const parts = { registry, backend, client, objects, secrets, log, metrics: createMetrics(), handlerEnv: {} };
      fleet = await startWorkers({ ...parts, env: parseEnv(workersEnv, { WORK_DIR: folder }) });
    });
    afterAll(async () => {
      await fleet?.stop(2_000);
      for (const queue of queues) await backend?.queue(queue).obliterate({ force: true });
      await backend?.close();
      await objects.close();
      await rm(folder, { recursive: true, force: true });
    });

    const ends = (id: string): Promise<JobStatus> =>
      vi.waitFor(
        async () => {
          const status = await client.status(id);
          if (status?.finishedAt == null || (status.status === 'failed' && status.error === null))
            throw new Error(`${id} is ${JSON.stringify(status)}`);
          return status;
        },
        { timeout: 15_000, interval: 20 },
      );

    it('run a parent after its children, which it sees with their results; large and secret payloads too', async () => {
      const pin = `planted-${Date.now()}`;
      const flow = await client.enqueueFlow(
        whole,
        { title: 'report' },
        {
          children: [
            flowChild(part, { n: 1, pin }),
            flowChild(part, { n: 2, more: 'x'.repeat(300_000) }),
            flowChild(whole, { title: 'chapter' }, { children: [flowChild(part, { n: 3 })] }),
          ],
          options: { tenant: 'acme' },
        },
      );
      expect(flow).toMatchObject({
        duplicate: false,
        status: 'waiting-children',
        children: [{}, {}, { children: [{}] }],
      });
      const [first, second, chapter] = flow.children;
      const { result, status, tenant, children, parent } = await ends(flow.id);
      expect({ status, tenant, children, parent }).toEqual({
        status: 'completed',
        tenant: 'acme',
        children: 3,
        parent: null,
      });
      const seen = whole.result.parse(result);
      const third = chapter?.children[0];
      expect(seen.children).toHaveLength(3);
      expect(seen.children).toEqual(
        expect.arrayContaining([
          { id: first?.id, type: 'flow-part', state: 'completed', result: { n: 1, bytes: pin.length } },
          { id: second?.id, type: 'flow-part', state: 'completed', result: { n: 2, bytes: 300_000 } },
          {
            id: chapter?.id,
            type: 'flow-whole',
            state: 'completed',
            result: {
              title: 'chapter',
              children: [{ id: third?.id, type: 'flow-part', state: 'completed', result: { n: 3, bytes: 0 } }],
            },
          },
        ]),
      );
      expect(await client.status(first?.id ?? '')).toMatchObject({ parent: flow.id, tenant: 'acme' });
      expect(await client.children(flow.id, 'acme')).toHaveLength(3);
      expect(await client.children(flow.id, 'other')).toBeUndefined();
      expect((await findInStore(backend, [pin])).found).toEqual([]);
      const { jobs } = await findJobs(backend, 'flow-part', { tenant: 'acme' }, { limit: 10 });
      expect(new Set(jobs.map(({ job }) => job.id))).toEqual(new Set([first?.id, second?.id, third?.id]));
    });

    it('hand a parent the large results of its children whole, and show them beside it', async () => {
      const flow = await client.enqueueFlow(
        whole,
        { title: 'large' },
        { children: [flowChild(part, { n: 1, answer: 300_000 })] },
      );
      const [child] = flow.children;
      const large = { n: 1, bytes: 0, text: 'y'.repeat(300_000) };
      expect(await ends(flow.id)).toMatchObject({
        status: 'completed',
        result: { children: [{ id: child?.id, result: large }] },
      });
      expect(await client.children(flow.id)).toEqual([
        { id: child?.id, type: 'flow-part', status: 'completed', result: large, error: null },
      ]);
      expect((await backend.queue(part.name).getJob(child?.id ?? ''))?.returnvalue).toHaveProperty('$object');
    });

    it('make a parent a dead letter when a child is one, and run it once both were redriven', async () => {
      const { id, children } = await client.enqueueFlow(
        whole,
        { title: 'x' },
        { children: [flowChild(part, { n: 1, fail: true }), flowChild(part, { n: 2 })] },
      );
      const child = children[0]?.id ?? '';
      const { error, status } = await ends(id);
      expect({ status, error }).toEqual({
        status: 'failed',
        error: { code: 'CHILD_FAILED', message: `its child ${child} is a dead letter` },
      });
      expect(await ends(child)).toMatchObject({ status: 'failed', parent: id });
      const letters = createDeadLetters({ backend, queues, checkPayload: () => undefined });
      expect(await letters.redrive(part.name, child, { patch: { fail: false } })).toMatchObject({ state: 'redriven' });
      expect(await ends(child)).toMatchObject({ status: 'completed' });
      expect(await letters.redrive(whole.name, id)).toMatchObject({ state: 'redriven' });
      expect(await ends(id)).toMatchObject({ status: 'completed' });
    });

    it('run a parent beside a failed child where the child says so', async () => {
      const { id, children } = await client.enqueueFlow(
        whole,
        { title: 'x' },
        { children: [flowChild(part, { n: 1, fail: true }, { onFailure: 'ignore' }), flowChild(part, { n: 2 })] },
      );
      const { result } = await ends(id);
      expect(whole.result.parse(result).children).toEqual(
        expect.arrayContaining([{ id: children[0]?.id, type: 'flow-part', state: 'failed', code: 'BAD_SOURCE' }]),
      );
      expect(await client.children(id)).toContainEqual(
        expect.objectContaining({ status: 'failed', error: { code: 'BAD_SOURCE', message: 'as it was told' } }),
      );
    });

    it('are one flow however often they are added with a key, and another with another flow', async () => {
      const options = { idempotencyKey: `flow-${Date.now()}`, tenant: 'acme' };
      const add = (n: number) =>
        client.enqueueFlow(
          whole,
          { title: 'x' },
          { options, children: [flowChild(part, { n }, { options: { delayMs: hourMs } })] },
        );
      const added = await Promise.all(Array.from({ length: 8 }, () => add(1)));
      const ids = new Set(added.map(({ id, children }) => `${id} ${children[0]?.id}`));
      expect(ids.size).toBe(1);
      expect(added.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
      expect(await client.children(added[0]?.id ?? '')).toHaveLength(1);
      await expect(add(2)).rejects.toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' });
      expect(await client.status(added[0]?.id ?? '')).toMatchObject({ status: 'waiting-children' });
    });

    it('are stored whole or not at all', async () => {
      const counts = async () => (await Promise.all(queues.map((queue) => backend.queue(queue).count()))).join();
      const before = await counts();
      const bad = (children: Parameters<Client['enqueueFlow']>[2]['children']) =>
        client.enqueueFlow(whole, { title: 'x' }, { children });
      const good = flowChild(part, { n: 1 });
      await expect(bad([good, { type: 'flow-part', payload: { n: 'x' } }])).rejects.toMatchObject({
        code: 'INVALID',
        errors: [{ path: 'children.1.payload.n' }],
      });
      await expect(bad([good, { type: 'nothing', payload: {} }])).rejects.toThrow('children.1.type');
      await expect(bad([flowChild(single, { n: 1 })])).rejects.toThrow('unique key');
      await expect(bad(Array.from({ length: 1_000 }, () => good))).rejects.toThrow('at most 1000 jobs');
      const deep = (levels: number): ReturnType<typeof flowChild> =>
        levels === 0 ? good : flowChild(whole, { title: 'x' }, { children: [deep(levels - 1)] });
      await expect(bad([deep(9)])).rejects.toThrow('at most 8 levels');
      expect(await counts()).toBe(before);
    });

    it('of hundreds of children run', async () => {
      const children = Array.from({ length: 300 }, (_, n) => flowChild(part, { n }));
      const { id } = await client.enqueueFlow(whole, { title: 'many' }, { children });
      const { result } = await ends(id);
      expect(whole.result.parse(result).children).toHaveLength(300);
    });
  });
}
