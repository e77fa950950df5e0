/**
 * M3: image variants, decoded once and made from one another, against a pipeline per variant with the same settings and
 * the same output sizes. Eight real photos, five widths; a fresh process per case. CPU is the goal, wall time stands
 * beside it. Needs the shared test data (TEST_DATA).
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { atMost, type BenchOptions, type Goal, goal, median, type Round, type Target } from './goal.ts';

const photos = [
  'baiona_color.jpg',
  'valley.webp',
  'Landscape_6.jpg',
  'Portrait_5.jpg',
  'baiona_alpha.png',
  'IMG_20180725_163423-tiny.jpg',
  'red-panda.jpg',
  'racecar_rotated.jpg',
];

interface Case {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly maxRssMb: number;
  readonly made: readonly string[];
}

async function runCase(side: 'ours' | 'pipelines', formats: string, files: readonly string[]): Promise<Case> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-bench-'));
  try {
    const script = fileURLToPath(new URL('images/case.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [script, side, formats, folder, ...files]);
    return JSON.parse(stdout) as Case;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measure(
  formats: string,
  files: readonly string[],
  rounds: number,
  name: string,
  target: Target,
): Promise<Goal> {
  const measured: Round[] = [];
  const memory = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    const theirs = await runCase('pipelines', formats, files);
    const ours = await runCase('ours', formats, files);
    if (ours.made.join('\n') !== theirs.made.join('\n')) {
      throw new Error(
        `The two sides made different variants; the run is void:\n${ours.made.join()}\n${theirs.made.join()}`,
      );
    }
    measured.push({ ours: ours.wallMs, theirs: theirs.wallMs, oursCpu: ours.cpuMs, theirsCpu: theirs.cpuMs });
    memory.ours.push(ours.maxRssMb);
    memory.theirs.push(theirs.maxRssMb);
  }
  const most = (values: readonly number[]): string => `${median(values).toFixed(0)} MB`;
  const rss = `max RSS ${most(memory.ours)} against ${most(memory.theirs)}`;
  return goal({ goal: 'M3', name: `${name}, wall ms; ${rss}`, backend: '-' }, measured, target);
}

/** Goals: CPU at most 0.65 of a pipeline per variant for JPEG + WebP, at most 0.8 with AVIF. */
export async function run(options: BenchOptions): Promise<Goal[]> {
  const folder = resolve(process.env['TEST_DATA'] ?? '../shared/data', 'images');
  if (!existsSync(folder)) {
    process.stderr.write(`  images: skipped, ${folder} is not there (set TEST_DATA)\n`);
    return [];
  }
  const files = photos.map((photo) => join(folder, photo));
  const rounds = options.quick ? 3 : 5;
  return [
    await measure('jpeg,webp', files, rounds, `${files.length} photos, JPEG + WebP`, atMost(0.65, 0.75, 'cpu')),
    await measure(
      'jpeg,webp,avif',
      files,
      rounds,
      `${files.length} photos, JPEG + WebP + AVIF`,
      atMost(0.8, 0.9, 'cpu'),
    ),
  ];
}
