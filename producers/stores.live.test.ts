/** What the client promises, on real Redis and PostgreSQL: accept, duplicates, unique keys, cancel. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { openBackend } from '../backends/open.ts';
import { defineJob, type Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { type Client, createClient } from './client.ts';

const suffix = randomBytes(4).toString('hex');
const greet = defineJob({
  name: `greet-${suffix}`,
  summary: 'Greets.',
  payload: z.strictObject({ name: z.string() }),
  result: z.object({}),
});
const once = defineJob({
  name: `once-${suffix}`,
  summary: 'One at a time.',
  payload: z.strictObject({ account: z.string() }),
  result: z.object({}),
  uniqueKey: ({ account }) => account,
});
const jobs = new Map<string, Job>([
  [greet.name, greet],
  [once.name, once],
]);
const unused = (): never => {
  throw new Error('a producer loads no handler');
};
const registry: Registry = { jobs, find: (name) => jobs.get(name), handler: unused, handlerUrl: unused };

describe.each([
  ['Redis', process.env['TEST_REDIS_URL']],
  ['PostgreSQL', process.env['TEST_POSTGRES_URL'] ?? 'embedded:memory'],
])('%s', (_store, url) => {
  describe.skipIf(url === undefined)('the client', () => {
    let backend: Backend;
    let client: Client;
    const failures: Error[] = [];
    beforeAll(async () => {
      backend = await openBackend(url ?? '', { onError: (error) => void failures.push(error) });
      client = createClient({ backend, registry });
    });
    afterAll(async () => {
      for (const name of jobs.keys()) await backend.queue(name).obliterate({ force: true });
      await backend.close();
    });

    test('100 calls at once with one key: one job, 99 duplicates with its id', async () => {
      const key = `burst-${suffix}`;
      const answers = await Promise.all(
        Array.from({ length: 100 }, () => client.enqueue(greet, { name: 'Ada' }, { idempotencyKey: key })),
      );
      expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
      expect(answers.filter(({ duplicate }) => duplicate)).toHaveLength(99);
      expect(await backend.queue(greet.name).getJobCountByTypes('waiting')).toBe(1);
      const other = client.enqueue(greet, { name: 'Bob' }, { idempotencyKey: key });
      await expect(other).rejects.toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' });
    });

    test('a unique key holds while its job is queued, single and in bulk, per tenant', async () => {
      const first = await client.enqueue(once, { account: 'a' });
      expect(await client.enqueue(once, { account: 'a' })).toMatchObject({ id: first.id, duplicate: true });
      expect(await client.enqueue(once, { account: 'a' }, { tenant: 'acme' })).toMatchObject({ duplicate: false });
      const many = await client.enqueueMany(once, [{ payload: { account: 'a' } }, { payload: { account: 'b' } }]);
      expect(many.map(({ duplicate }) => duplicate)).toEqual([true, false]);
      expect(await client.cancel(first.id)).toBe('cancelled');
      expect(await client.enqueue(once, { account: 'a' })).toMatchObject({ duplicate: false });
    });

    test('our facts survive the store; waiting and delayed jobs are cancelled, running ones are told, ended ones left', async () => {
      const delayed = await client.enqueue(greet, { name: 'later' }, { delayMs: 3_600_000, tenant: 'acme' });
      expect(await client.status(delayed.id)).toMatchObject({ status: 'delayed', tenant: 'acme', maxAttempts: 4 });
      expect(await client.cancel(delayed.id)).toBe('cancelled');
      expect(await client.status(delayed.id)).toMatchObject({ status: 'cancelled', tenant: 'acme' });
      let end = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        end = resolve;
      });
      let start = (_id: string): void => undefined;
      const started = new Promise<string>((resolve) => {
        start = resolve;
      });
      const { worker } = backend.worker(
        greet.name,
        async ({ id }) => {
          start(id ?? '');
          await held;
          return {};
        },
        { concurrency: 1, leaseMs: 30_000, backoff: () => -1 },
      );
      void worker.run();
      const id = await started;
      const heard = new Promise((resolve) => {
        // Other test files say things on the same store at the same time.
        const stop = backend.control.listen((message) => {
          if (message.kind !== 'cancel' || message.queue !== greet.name) return;
          stop();
          resolve(message);
        });
      });
      expect(await client.cancel(id)).toBe('cancelling');
      expect(await heard).toEqual({ kind: 'cancel', queue: greet.name, id });
      const completed = new Promise((resolve) => worker.once('completed', resolve));
      end();
      await completed;
      expect(await client.cancel(id)).toBe('ended');
      expect(await client.status(id)).toMatchObject({ status: 'completed', attempt: 1, error: null });
      await worker.close();
    });
  });
});
