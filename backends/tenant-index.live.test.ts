import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { redisDatabase } from '../tests/support/redis-database.ts';
import { openBackend } from './open.ts';

// A run of the sweep looks at 50,000 entries: those of other files would take its turn.
const url = redisDatabase('tenant-index');

test.skipIf(url === undefined)(
  'Redis forgets the entries of a tenant whose jobs are gone, and keeps the others',
  async () => {
    const backend = await openBackend(url ?? '', { onError: () => undefined });
    const client = new Redis(url ?? '');
    const queue = `test-${randomBytes(6).toString('hex')}`;
    try {
      const old = Date.now() - 2 * 3_600_000;
      const facts = { jobfleet: { tenant: 'acme', v: 1 } };
      const options = { attempts: 1, ...facts };
      const job = (id: string, timestamp: number) => ({ id, name: queue, json: '{}', timestamp, options });
      await backend.addMany([{ queue, jobs: [job('x_1', old), job('x_2', old), job('x_3', Date.now())] }]);
      await backend.queue(queue).remove('x_1');
      await backend.queue(queue).remove('x_3');
      const sweep = backend.chores.find(({ name }) => name === 'entries of tenants');
      const key = `jobfleet:{${queue}}:tenant:acme`;
      await sweep?.run(new AbortController().signal);
      // The young one may be noted before its job.
      expect(await client.zrange(key, '0', '-1')).toEqual(['x_2', 'x_3']);
      expect(await client.sismember('jobfleet:tenants', `${queue} acme`)).toBe(1);
      await client.zadd(key, String(old), 'x_3');
      await backend.queue(queue).remove('x_2');
      await sweep?.run(new AbortController().signal);
      expect(await client.exists(key)).toBe(0);
      expect(await client.sismember('jobfleet:tenants', `${queue} acme`)).toBe(0);
    } finally {
      await backend.queue(queue).obliterate({ force: true });
      client.disconnect();
      await backend.close();
    }
  },
);
