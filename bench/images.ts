/**
 * M3: image variants, decoded once and made from one another, against a pipeline per variant with the same settings and
 * the same output sizes: CPU is the goal, wall time stands beside it. Then images a second against the same calls of sharp
 * in a bare loop. Eight real photos, five widths; a fresh process per case. Needs the shared test data (TEST_DATA).
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { atLeast, atMost, type BenchOptions, type Goal, goal, median, type Round, type Target } from './goal.ts';

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

type Peer = 'bare' | 'pipelines';

async function runCase(side: 'ours' | Peer, formats: string, files: readonly string[]): Promise<Case> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-bench-'));
  try {
    const script = fileURLToPath(new URL('images/case.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [script, side, formats, folder, ...files]);
    return JSON.parse(stdout) as Case;
  } finally {
    await rm(folder, { recursive: true });
  }
}

interface Wanted {
  readonly formats: string;
  readonly peer: Peer;
  readonly name: string;
  readonly target: Target;
}

async function measure(
  { formats, peer, name, target }: Wanted,
  files: readonly string[],
  rounds: number,
): Promise<Goal> {
  const measured: Round[] = [];
  const memory = { ours: [] as number[], theirs: [] as number[] };
  // Against the pipelines the time of all, as less is better; against the loop the rate.
  const [valueOf, unit] =
    peer === 'bare'
      ? [(one: Case): number => (files.length * 1_000) / one.wallMs, 'images/s']
      : [(one: Case): number => one.wallMs, 'wall ms'];
  for (let round = 0; round < rounds; round += 1) {
    const theirs = await runCase(peer, formats, files);
    const ours = await runCase('ours', formats, files);
    if (ours.made.join('\n') !== theirs.made.join('\n')) {
      throw new Error(
        `The two sides made different variants; the run is void:\n${ours.made.join()}\n${theirs.made.join()}`,
      );
    }
    measured.push({ ours: valueOf(ours), theirs: valueOf(theirs), oursCpu: ours.cpuMs, theirsCpu: theirs.cpuMs });
    memory.ours.push(ours.maxRssMb);
    memory.theirs.push(theirs.maxRssMb);
  }
  const most = (values: readonly number[]): string => `${median(values).toFixed(0)} MB`;
  const rss = `max RSS ${most(memory.ours)} against ${most(memory.theirs)}`;
  return goal({ goal: 'M3', name: `${name}, ${unit}; ${rss}`, backend: '-' }, measured, target);
}

/** Goals: CPU at most 0.65 of a pipeline per variant for JPEG + WebP, at most 0.8 with AVIF; at least 0.9 of the rate of a bare loop. */
export async function run(options: BenchOptions): Promise<Goal[]> {
  const folder = resolve(process.env['TEST_DATA'] ?? '../shared/data', 'images');
  if (!existsSync(folder)) {
    process.stderr.write(`  images: skipped, ${folder} is not there (set TEST_DATA)\n`);
    return [];
  }
  const files = photos.map((photo) => join(folder, photo));
  const rounds = options.quick ? 3 : 5;
  const set = `${files.length} photos`;
  const [two, three] = ['jpeg,webp', 'jpeg,webp,avif'];
  return [
    await measure(
      { formats: two, peer: 'pipelines', name: `${set}, JPEG + WebP`, target: atMost(0.65, 0.75, 'cpu') },
      files,
      rounds,
    ),
    await measure(
      { formats: three, peer: 'pipelines', name: `${set}, JPEG + WebP + AVIF`, target: atMost(0.8, 0.9, 'cpu') },
      files,
      rounds,
    ),
    await measure(
      { formats: two, peer: 'bare', name: `${set}, JPEG + WebP, a bare loop`, target: atLeast(0.9, 0.75) },
      files,
      rounds,
    ),
  ];
}
