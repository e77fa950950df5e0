/**
 * A queue with 100,000 dead letters: every page of the list, the groups and a filtered redrive takes a second at most, the
 * first look of a process three.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDeadLetters, type DeadLetters } from '../backends/dead-letters.ts';
import { giveUp } from '../jobs/errors.ts';
import { copyId, copyLetters } from './support/copy-letters.ts';
import { crowding } from './support/crowding.ts';
import { openTenantStage, type TenantStage, until } from './support/tenants.stage.ts';

const count = 100_000;
const limitMs = 1_000;
/** It reads all of them into the process; every answer after it has only to look for new ones. */
const firstLookMs = 3_000;
const minute = 60_000;
const reasons = [
  { code: 'HTTP_503', words: ['try ', ' again'] },
  { code: 'BAD_SOURCE', words: ['file ', ' is no good'] },
] as const;

describe.each([
  ['embedded', 'embedded:memory'],
  ['PostgreSQL', process.env['TEST_POSTGRES_URL']],
  ['Redis', process.env['TEST_REDIS_URL']],
  ['Redis with Sentinels', process.env['TEST_REDIS_SENTINEL_URL']],
  ['Redis Cluster', process.env['TEST_REDIS_CLUSTER_URL']],
])(`${count} dead letters on %s`, (store, url) => {
  describe.skipIf(url === undefined)('by its address', () => {
    let stage: TenantStage;
    let queue: string;
    let made: readonly string[];
    const open = (): DeadLetters =>
      createDeadLetters({ backend: stage.backend, queues: [queue], checkPayload: () => undefined });
    beforeAll(async () => {
      stage = await openTenantStage(url ?? '');
      ({ queue, made } = await fail(stage));
      for (const [at, { code, words }] of reasons.entries())
        await copyLetters(stage.backend, {
          queue,
          id: made[at] ?? '',
          tenant: 'acme',
          count: count / reasons.length - 1,
          reason: [`${code}: ${words[0]}`, words[1]],
        });
    }, 5 * minute);
    afterAll(async () => {
      await stage.cleanUp();
      await stage.close();
    }, 5 * minute);

    test('are what the product stores of jobs that fail', async () => {
      const [id = ''] = made;
      const jobs = stage.backend.queue(queue);
      const [original, copy] = await Promise.all([id, copyId(id, 7)].map((one) => jobs.getJob(one)));
      expect(original?.failedReason).toBe('HTTP_503: try 0 again');
      const { timestamp, finishedOn = 0 } = original ?? { timestamp: 0 };
      expect(copy?.asJSON()).toEqual({
        ...original?.asJSON(),
        id: copyId(id, 7),
        failedReason: JSON.stringify('HTTP_503: try 7 again'),
        timestamp: timestamp - 7,
        finishedOn: finishedOn - 7,
      });
      expect(await jobs.getFailedCount()).toBe(count);
    });

    test(
      'are listed, grouped and redriven page by page',
      async () => {
        const fresh = open();
        const times: Record<string, number> = {};
        const crowdedBefore = crowding();
        const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
          const startedAt = performance.now();
          const answer = await work();
          times[name] = Math.round(performance.now() - startedAt);
          return answer;
        };
        const first = await timed('first look', () => fresh.list({}, { limit: 100 }));
        const cursor = first.cursor ?? '';
        const second = await timed('next page', () => fresh.list({ code: 'HTTP_503' }, { limit: 100, cursor }));
        expect(first.complete).toBe(true);
        expect(new Set([...first.letters, ...second.letters].map(({ id }) => id)).size).toBe(200);
        const { groups } = await timed('groups', () => fresh.groups({}));
        expect(groups.map((group) => group.count)).toEqual([count / 2, count / 2]);
        const filter = { code: 'HTTP_503', tenant: 'acme' };
        const dry = await timed('redrive, dry', () => fresh.redriveMany(filter, { dryRun: true }));
        expect(dry).toMatchObject({ matched: count / 2, refused: [] });
        expect(dry.done).toBeGreaterThanOrEqual(20);
        const real = await timed('redrive', () => fresh.redriveMany(filter));
        expect(real).toMatchObject({ matched: count / 2, refused: [], complete: false });
        expect(real.done).toBeGreaterThanOrEqual(20);
        const next = await timed('redrive, next', () => fresh.redriveMany(filter));
        expect(next).toMatchObject({ matched: count / 2 - real.done });
        const done = real.done + next.done;
        expect(await stage.backend.queue(queue).getWaitingCount()).toBe(done);
        expect(await stage.backend.queue(queue).getFailedCount()).toBe(count - done);
        const crowded = Math.max(crowdedBefore, crowding());
        process.stdout.write(
          `${count} dead letters on ${store}, ms: ${JSON.stringify(times)}, redriven ${real.done} and ${next.done}, crowding ${crowded.toFixed(1)}\n`,
        );
        const limitOf = (name: string): number => (name === 'first look' ? firstLookMs : limitMs) * crowded;
        expect(Object.entries(times).filter(([name, ms]) => ms > limitOf(name))).toEqual([]);
      },
      5 * minute,
    );
  });
});

/** One job of each reason, failed by workers. */
async function fail(stage: TenantStage): Promise<{ readonly queue: string; readonly made: readonly string[] }> {
  const job = stage.type(
    { attempts: 1 },
    {
      run: ({ key }) => {
        const { code, words } = reasons[key.startsWith('0') ? 0 : 1];
        return Promise.reject(giveUp(code, words.join('0')));
      },
    },
  );
  const client = stage.client();
  const payloads = reasons.map((_, at) => ({
    payload: { key: `${at}${'x'.repeat(1_900)}` },
    options: { tenant: 'acme' },
  }));
  const jobs = await client.enqueueMany(job, payloads);
  const fleet = await stage.work([job]);
  await until(async () => expect(await stage.backend.queue(job.name).getFailedCount()).toBe(reasons.length));
  await fleet.stop(2_000);
  return { queue: job.name, made: jobs.map(({ id }) => id) };
}
