/** The handler where it really runs: in a killable child. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { crowding } from '../../tests/support/crowding.ts';
import { openPool, type Pool } from '../../workers/isolate/pool.ts';
import { type JobRun, runJob } from '../../workers/testing.ts';
import handler from './handler.ts';
import job from './job.ts';

let base: string;
let pool: Pool;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'jobfleet-image-'));
  const handlerUrl = new URL('handler.ts', import.meta.url).href;
  const types = [{ name: job.name, handlerUrl, policy: job.policy, env: { IMAGE_SVG: 'on' } }];
  pool = await openPool({ types, base, spares: 1, environment: process.env, log: { warn: () => {}, error: () => {} } });
});

afterAll(async () => {
  await pool.close();
  await rm(base, { recursive: true });
});

const run = async (bytes: Uint8Array, payload: object = {}): Promise<JobRun> =>
  runJob(handler, { source: 'object:t/-/input', ...payload }, { inputs: { input: bytes }, pool });

const photo = async (): Promise<Buffer> =>
  sharp({
    create: {
      width: 900,
      height: 600,
      channels: 3,
      background: '#369',
      noise: { type: 'gaussian', mean: 128, sigma: 30 },
    },
  })
    .jpeg()
    .toBuffer();

const svg = (body: string, side: number): Buffer =>
  Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}">${body}</svg>`);

/** About 1 KB that keeps librsvg busy for minutes; sharp's own time limit does not stop it. */
const filterBomb = svg(
  `<filter id="f" x="0" y="0" width="1" height="1">${'<feMorphology radius="40"/>'.repeat(30)}</filter>` +
    '<rect width="100%" height="100%" filter="url(#f)"/>',
  3_000,
);

test('makes the same variants in a child as in process', async () => {
  const bytes = await photo();
  await using inChild = await run(bytes);
  await using here = await runJob(handler, { source: 'object:t/-/input' }, { inputs: { input: bytes } });
  expect(inChild.error).toBeUndefined();
  expect(inChild.result).toEqual(here.result);
  expect(here.result).toMatchObject({ variants: { length: 6 } });
});

test('draws an SVG and a TIFF, each in a child that may', async () => {
  const blue = svg('<rect width="9" height="9" fill="#00f"/>', 9);
  await using drawn = await run(blue, { formats: ['png'] });
  expect(drawn.result).toMatchObject({ variants: [{ width: 9, height: 9, format: 'png' }] });
  const tiff = await sharp(await photo())
    .tiff()
    .toBuffer();
  await using read = await run(tiff, { widths: [320], formats: ['webp'] });
  expect(read.result).toMatchObject({ variants: [{ width: 320, height: 213, format: 'webp' }] });
});

/** How long files of this process take to answer, asked again and again: its four threads are what a codec would fill. */
function monitorFilePool(): () => Promise<number> {
  const tookMs: number[] = [];
  const over = new AbortController();
  const asking = (async () => {
    while (!over.signal.aborted) {
      const before = performance.now();
      await stat(base);
      tookMs.push(performance.now() - before);
      await setTimeout(10);
    }
  })();
  return async () => {
    over.abort();
    await asking;
    return tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] ?? Number.NaN;
  };
}

test('four SVG filter bombs are dead within seconds of their limit, and nobody else notices', async () => {
  const before = performance.now();
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const poolDelay = monitorFilePool();
  const bombs = Array.from({ length: 4 }, () => run(filterBomb));
  await using neighbour = await run(await photo(), { widths: [320] });
  expect(neighbour.outcome).toEqual({ state: 'done' });
  for (const bomb of bombs) {
    await using dead = await bomb;
    expect(dead.outcome).toEqual({ state: 'dead', code: 'LIMIT_EXCEEDED' });
    expect(dead.error?.message).toMatch(/drawn within 10 s/);
  }
  const tookMs = performance.now() - before;
  delay.disable();
  expect(tookMs).toBeGreaterThan(9_000);
  expect(tookMs).toBeLessThan(10_000 + 10_000 * crowding());
  expect(delay.percentile(99) / 1e6).toBeLessThan(100 * crowding());
  expect(await poolDelay()).toBeLessThan(100 * crowding());
});

test('the children leave nothing in their base', async () => {
  await using done = await run(Buffer.from('no image'));
  expect(done.outcome).toEqual({ state: 'dead', code: 'BAD_SOURCE' });
  await pool.close();
  expect(await readdir(base)).toEqual([]);
});
