import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const run = promisify(execFile);

/** Who may import whom, beside itself. */
const below: Readonly<Record<string, readonly string[]>> = {
  cli: ['producers', 'workers', 'dashboard', 'backends', 'jobs', 'runtime'],
  producers: ['backends', 'jobs', 'runtime'],
  workers: ['backends', 'jobs', 'runtime'],
  dashboard: ['backends', 'jobs', 'runtime'],
  backends: ['runtime'],
  jobs: [],
  runtime: [],
};

/** Rules that several job types share: a folder of `jobs/` without a `job.ts`, and the types that may import it. */
const sharedRules: Readonly<Record<string, readonly string[]>> = {
  'jobs/cricket': ['jobs/match-aggregation', 'jobs/ranking-update', 'jobs/stats-calculation'],
};

/** What untrusted work must never be given, or must go through one file, and the files that may name it. */
const reserved = [
  // Memory of a thread is the worker's: a heap that grows there ends the whole process.
  { what: /worker_threads/, files: ['cli/supervised.ts', 'workers/lease-thread.ts', 'workers/leases.ts'] },
  // An endless message on Node's own channel ends whoever reads it: only between a supervisor and workers of ours.
  { what: /\bprocess\.send\b|\bfork\(|'ipc'|'node:cluster'/, files: ['cli/supervised.ts', 'cli/supervisor.ts'] },
  // No longer maintained: one place to leave it from.
  { what: /'fluent-ffmpeg'/, files: ['jobs/video-transcoding/ffmpeg.ts'] },
] as const;

async function sources(folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true, recursive: true });
  return entries
    .filter(
      (entry) =>
        entry.isFile() && entry.name.endsWith('.ts') && !/\.(test|suite)\.ts$|conformance\.ts$/.test(entry.name),
    )
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !file.includes('/fixtures/'));
}

async function imports(file: string): Promise<string[]> {
  const text = await readFile(join(root, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) =>
    relative(root, join(root, dirname(file), match[1] ?? '')),
  );
}

/** What a light door loads beside zod and the definition; it may be split over files of its own folder, or of rules it shares, that are light too. */
async function heavy(file: string): Promise<string[]> {
  const text = await readFile(join(root, file), 'utf8');
  const names = [...text.matchAll(/^import (?!type)[^;]*from '([^']+)'/gms)].map((match) => match[1] ?? '');
  const isShared = (name: string): boolean => dirname(join(dirname(file), name)) in sharedRules;
  const own = names.filter((name) => name.startsWith('./') || isShared(name));
  const below = await Promise.all(own.map((name) => heavy(join(dirname(file), name))));
  const others = names.filter((name) => !own.includes(name) && name !== 'zod' && name !== '../define.ts');
  return [...others.map((name) => `${file} imports ${name}`), ...below.flat()];
}

describe('imports run one way', () => {
  it.each(Object.keys(below))('%s', async (layer) => {
    const wrong: string[] = [];
    for (const file of await sources(layer)) {
      for (const target of await imports(file)) {
        const other = target.split('/')[0] ?? '';
        const client = target === 'producers/client.ts' && (layer === 'workers' || layer === 'dashboard');
        if (other !== layer && !client && !(below[layer] ?? []).includes(other))
          wrong.push(`${file} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it.each(reserved)('$what stands in $files and nowhere else', async ({ what, files }) => {
    const found: string[] = [];
    for (const layer of Object.keys(below)) {
      for (const file of await sources(layer))
        if (what.test(await readFile(join(root, file), 'utf8'))) found.push(file);
    }
    expect(found.toSorted()).toEqual(files);
  });

  it('keeps job folders to themselves and their light door light', async () => {
    const wrong: string[] = [];
    for (const file of await sources('jobs')) {
      if (dirname(file) === 'jobs') continue;
      const text = await readFile(join(root, file), 'utf8');
      const folder = file.split('/').slice(0, 2).join('/');
      const isAllowed = (target: string): boolean =>
        target.startsWith(`${folder}/`) ||
        ['jobs/define.ts', 'jobs/errors.ts'].includes(target) ||
        (target === 'jobs/ports.ts' && /import type[^;]*ports/.test(text)) ||
        // `ctx.enqueue` takes the light door of the type that comes next.
        (/^jobs\/[^/]+\/job\.ts$/.test(target) && !file.endsWith('/job.ts') && !(folder in sharedRules)) ||
        Object.entries(sharedRules).some(([rules, types]) => target.startsWith(`${rules}/`) && types.includes(folder));
      wrong.push(
        ...(await imports(file)).filter((target) => !isAllowed(target)).map((target) => `${file} imports ${target}`),
      );
      if (file.endsWith('/job.ts')) wrong.push(...(await heavy(file)));
    }
    expect(wrong).toEqual([]);
  });

  it('never loads a handler or a codec from the light side', async () => {
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const { stdout } = await run(process.execPath, [tsc, '-p', 'tsconfig.light.json', '--listFilesOnly'], {
      cwd: root,
      maxBuffer: 1 << 24,
    });
    const files = stdout.split('\n').map((file) => relative(root, file));
    expect(files).toContain('producers/client.ts');
    expect(
      files.filter((file) =>
        /^jobs\/.*handler\.ts$|node_modules\/(@types\/)?(sharp|fluent-ffmpeg)\/|nodemailer\/dist\/esm\/(nodemailer|mailer)/.test(
          file,
        ),
      ),
    ).toEqual([]);
  });
});
