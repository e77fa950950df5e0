import { expect, test } from 'vitest';
import { mergeFamilies } from './merge-metrics.ts';
import { createMetrics } from './metrics.ts';

test('every sample keeps its value and gets the number of its process, histograms and process metrics too', async () => {
  const [one, two] = [createMetrics('1.0.0'), createMetrics('1.1.0')];
  one.jobsEnqueued.labels('a').inc(2);
  two.jobsEnqueued.labels('a').inc(3);
  two.jobDuration.labels('a').observe(0.2);
  const wire = async (families: Promise<object[]>): Promise<object[]> => JSON.parse(JSON.stringify(await families));
  const text = await mergeFamilies([
    { process: 1, families: await wire(one.families()) },
    { process: 2, families: await wire(two.families()) },
  ]);
  const lines = text.split('\n');
  for (const line of [
    'jobfleet_jobs_enqueued_total{queue="a",process="1"} 2',
    'jobfleet_jobs_enqueued_total{queue="a",process="2"} 3',
    'jobfleet_build_info{version="1.0.0",process="1"} 1',
    'jobfleet_build_info{version="1.1.0",process="2"} 1',
    'jobfleet_job_duration_seconds_count{queue="a",process="2"} 1',
  ])
    expect(lines).toContain(line);
  expect(text).toMatch(/^process_start_time_seconds\{process="2"\} \d/m);
  expect(lines.filter((line) => line.startsWith('# TYPE jobfleet_jobs_enqueued_total'))).toHaveLength(1);
});

test('no process answers: an empty exposition', async () => {
  expect((await mergeFamilies([])).trim()).toBe('');
});
