import fastify from 'fastify';
import { afterEach, expect, test } from 'vitest';
import { healthRoutes } from './health.ts';
import { createMetrics } from './metrics.ts';

const open: { close: () => unknown }[] = [];
afterEach(async () => {
  for (const app of open.splice(0)) await app.close();
});

test('every family has one HELP and one TYPE line, and gauges are read at the scrape', async () => {
  const metrics = createMetrics('1.2.3');
  let waiting = 3;
  metrics.watch({
    queues: async () => [
      { queue: 'email-sending', counts: { waiting, failed: 2 }, oldestAgeS: 7, overdue: 4, highestTag: 0 },
    ],
    workers: () => [{ queue: 'email-sending', active: 1, concurrency: 10 }],
    backendUp: async () => true,
  });
  metrics.jobsEnqueued.inc({ queue: 'email-sending' });
  expect(await metrics.text()).toContain('bullmq_job_count{queue="email-sending",state="waiting"} 3');
  waiting = 0;
  const text = await metrics.text();
  for (const line of [
    'bullmq_job_count{queue="email-sending",state="waiting"} 0',
    'jobfleet_dead_letter_jobs{queue="email-sending"} 2',
    'jobfleet_queue_oldest_job_age_seconds{queue="email-sending"} 7',
    'jobfleet_queue_overdue_jobs{queue="email-sending"} 4',
    'jobfleet_worker_up{queue="email-sending"} 1',
    'jobfleet_worker_active_jobs{queue="email-sending"} 1',
    'jobfleet_backend_up 1',
    'jobfleet_build_info{version="1.2.3"} 1',
    'jobfleet_jobs_enqueued_total{queue="email-sending"} 1',
  ]) {
    expect(text).toContain(line);
  }
  const families = text
    .split('\n')
    .filter((line) => line.startsWith('# TYPE'))
    .map((line) => line.split(' ')[2]);
  expect(new Set(families).size).toBe(families.length);
});

test('a store that is down leaves a scrape that answers and says so', async () => {
  const metrics = createMetrics();
  const down = async () => {
    throw new Error('no store');
  };
  metrics.watch({ queues: down, backendUp: down });
  expect(await metrics.text()).toContain('jobfleet_backend_up 0');
});

test('health routes and their aliases say what is wrong', async () => {
  const app = fastify();
  open.push(app);
  let ready: string | undefined = 'draining';
  await app.register(healthRoutes, { live: () => undefined, ready: () => ready, metrics: createMetrics() });
  const get = async (url: string) => (await app.inject({ url })).statusCode;
  for (const url of ['/livez', '/health/liveness', '/startupz', '/health/startup', '/metrics'])
    expect(await get(url)).toBe(200);
  for (const url of ['/readyz', '/health', '/health/readiness']) expect(await get(url)).toBe(503);
  expect((await app.inject({ url: '/readyz' })).json()).toEqual({ status: 'unavailable', reason: 'draining' });
  ready = undefined;
  expect(await get('/readyz')).toBe(200);
});
