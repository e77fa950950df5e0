/** Pictures that nobody should send: each ends as it must, in time, with nothing left behind and nothing in what was made. */
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { buffer } from 'node:stream/consumers';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import job from '../../jobs/image-processing/job.ts';
import type { JobRun } from '../../workers/testing.ts';
import { type ChildRuns, openChildRuns } from '../support/child-runs.ts';
import { crowding } from '../support/crowding.ts';
import { boundCorpus, corpora } from './bounds.ts';
import { imageCases } from './images.ts';

boundCorpus('image-processing');

const limitMs = 5_000;
let children: ChildRuns;
beforeAll(async () => {
  children = await openChildRuns('image-processing');
});
afterAll(() => children.close());

const scratch = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('jobfleet-test-'));

async function keysOf(run: JobRun): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of run.objects.list('')) keys.push(key);
  return keys.filter((key) => key !== 't/-/in');
}

test('there are enough of them, each with a name of its own', () => {
  expect(imageCases.length).toBeGreaterThanOrEqual(corpora['image-processing'].cases);
  expect(new Set(imageCases.map(({ name }) => name)).size).toBe(imageCases.length);
});

test.each(imageCases)('$name', async ({ bytes, ends, payload, size }) => {
  const source = Buffer.from(await bytes());
  const asked = { source: 'object:t/-/in', widths: [64], formats: ['webp'], ...payload };
  const startedAt = performance.now();
  await using run = await children.run(asked, { inputs: { in: source } });
  expect(performance.now() - startedAt).toBeLessThan(limitMs * crowding());
  const got = 'code' in run.outcome ? run.outcome.code : run.outcome.state;
  expect(ends, run.error?.message).toContain(got);
  const variants = got === 'done' ? job.result.parse(run.result).variants : [];
  // What ends badly has made nothing, and what ends well nothing but its variants.
  expect(await keysOf(run)).toEqual(variants.map(({ key }) => key.slice('object:'.length)));
  expect(size ?? variants.map(({ width, height }) => `${width}x${height}`)[0]).toBe(
    variants.map(({ width, height }) => `${width}x${height}`)[0],
  );
  for (const { key } of variants) {
    const found = await run.objects.get(key.slice('object:'.length));
    const made = found === undefined ? Buffer.of() : await buffer(found.body);
    await sharp(made, { animated: true, failOn: 'warning' }).stats();
    for (const mark of ['alert(1)', 'GPS', 'Exif', 'ICC_PROFILE', 'root:']) expect(made.includes(mark)).toBe(false);
  }
  await run.close();
  expect(await scratch()).toEqual([]);
});
