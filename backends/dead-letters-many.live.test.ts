import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Backend } from './backend.ts';
import { createDeadLetters } from './dead-letters.ts';
import { openBackend } from './open.ts';

/**
 * A queue with many dead letters, stored behind our back because failing them one by one takes minutes. 100,000 is the
 * promise; TEST_DEAD_LETTERS=100000 prints its figures, and the limits stand for a machine that does nothing else.
 */
const count = Number(process.env['TEST_DEAD_LETTERS'] ?? 5_000);
const isWhole = count >= 100_000;
const limitMs = isWhole ? 1_000 : 15_000;

describe.each([
  ['Redis', process.env['TEST_REDIS_URL']],
  ['PostgreSQL', process.env['TEST_POSTGRES_URL']],
])(`${count} dead letters on %s`, (store, url) => {
  describe.skipIf(url === undefined)('by its address', () => {
    const queue = `test-${randomBytes(6).toString('hex')}`;
    let backend: Backend;
    beforeAll(async () => {
      backend = await openBackend(url ?? '', { onError: () => undefined });
      await (store === 'Redis' ? fillRedis(url ?? '', queue) : fillPostgres(url ?? '', queue));
    }, 300_000);
    afterAll(async () => {
      await backend.queue(queue).obliterate({ force: true });
      await backend.close();
    }, 300_000);

    test('are listed, grouped and redriven page by page', async () => {
      const letters = createDeadLetters({ backend, queues: [queue], checkPayload: () => undefined });
      const times: Record<string, number> = {};
      const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
        const startedAt = performance.now();
        const answer = await work();
        times[name] = Math.round(performance.now() - startedAt);
        return answer;
      };
      await timed('first look', () => letters.list({}, { limit: 1 }));
      const first = await timed('list', () => letters.list({}, { limit: 100 }));
      const cursor = first.cursor ?? '';
      const second = await timed('next page', () => letters.list({ code: 'HTTP_503' }, { limit: 100, cursor }));
      expect(first.complete).toBe(true);
      expect(new Set([...first.letters, ...second.letters].map(({ id }) => id)).size).toBe(200);
      const { groups } = await timed('groups', () => letters.groups({}));
      expect(groups.map((group) => group.count)).toEqual([count / 2, count / 2]);
      const filter = { code: 'HTTP_503', tenant: 'acme' };
      const dry = await timed('redrive, dry', () => letters.redriveMany(filter, { dryRun: true }));
      expect(dry).toMatchObject({ matched: count / 2, refused: [] });
      expect(dry.done).toBeGreaterThanOrEqual(20);
      const real = await timed('redrive', () => letters.redriveMany(filter));
      expect(real).toMatchObject({ matched: count / 2, refused: [], complete: false });
      expect(real.done).toBeGreaterThanOrEqual(20);
      const next = await timed('redrive, next', () => letters.redriveMany(filter));
      expect(next).toMatchObject({ matched: count / 2 - real.done });
      const done = real.done + next.done;
      expect(await backend.queue(queue).getWaitingCount()).toBe(done);
      expect(await backend.queue(queue).getFailedCount()).toBe(count - done);
      if (isWhole)
        process.stdout.write(
          `${count} dead letters on ${store}, ms: ${JSON.stringify(times)}, redriven ${real.done} and ${next.done}\n`,
        );
      const { 'first look': _once, ...pages } = times;
      expect(Object.entries(pages).filter(([, ms]) => ms > limitMs)).toEqual([]);
    }, 300_000);
  });
});

const reasonOf = (index: number): string =>
  index % 2 === 0 ? `HTTP_503: try ${index} again` : `BAD_SOURCE: file ${index} is no good`;
const bornAt = Date.now() - 86_400_000;
const payload = JSON.stringify({ text: 'x'.repeat(1_900) });

async function fillRedis(url: string, queue: string): Promise<void> {
  const client = new Redis(url);
  const opts = JSON.stringify({ attempts: 1, jobfleet: { tenant: 'acme', v: 1 } });
  for (let start = 0; start < count; start += 1_000) {
    const pipeline = client.pipeline();
    for (let index = start; index < start + 1_000; index += 1) {
      const at = String(bornAt + index);
      const job = { name: queue, data: payload, opts, timestamp: at, atm: '1', ats: '1', finishedOn: at };
      pipeline.hset(`bull:${queue}:x_${index}`, { ...job, failedReason: reasonOf(index), delay: '0', priority: '0' });
      pipeline.zadd(`bull:${queue}:failed`, at, `x_${index}`);
    }
    await pipeline.exec();
  }
  client.disconnect();
}

async function fillPostgres(url: string, queue: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(
    `INSERT INTO bullmq.job (queue, id, seq, name, state, data, opts, attempts_made, attempts_started, failed_reason, added_at_ms, finished_at_ms)
     SELECT $1, 'x_' || n, nextval('bullmq.job_seq'), $1, 'failed', $2::jsonb, '{"attempts":1,"jobfleet":{"tenant":"acme","v":1}}', 1, 1,
            CASE WHEN n % 2 = 0 THEN 'HTTP_503: try ' || n || ' again' ELSE 'BAD_SOURCE: file ' || n || ' is no good' END, $3::bigint + n, $3::bigint + n
       FROM generate_series(0, $4::int - 1) n`,
    [queue, payload, bornAt, count],
  );
  await client.end();
}
