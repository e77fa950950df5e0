/** What the compiled program loads when: `npm run build` first (script/test does). */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const run = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-startup-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Packages and files of ours that were loaded, each once. */
async function loaded(
  name: string,
  args: readonly string[],
): Promise<{ readonly packages: string[]; readonly ours: string[] }> {
  const file = join(folder, name);
  await run(process.execPath, ['--import', join(root, 'tests/support/record-imports.js'), ...args], {
    cwd: folder,
    env: { ...process.env, RECORD_IMPORTS: file },
  });
  const urls = (await readFile(file, 'utf8')).split('\n').filter((url) => url.startsWith('file:'));
  const packages = new Set<string>();
  const ours = new Set<string>();
  for (const url of urls) {
    const found = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url);
    if (found !== null) packages.add(found[1] ?? '');
    else if (url.includes('/dist/')) ours.add(url.slice(url.indexOf('/dist/') + 6));
  }
  return { packages: [...packages].toSorted(), ours: [...ours].toSorted() };
}

it('answers --help and --version with commander and nothing else', async () => {
  for (const flag of ['--help', '--version']) {
    expect(await loaded(`help${flag}`, [join(root, 'cli/jobfleet.js'), flag])).toEqual({
      packages: ['commander'],
      ours: ['cli/commands.js', 'cli/main.js', 'cli/output.js', 'cli/version.js'],
    });
  }
});

it('imports the producer client without a handler, a codec, a web server or a driver', async () => {
  const script = `await import(${JSON.stringify(join(root, 'dist/producers/client.js'))})`;
  const { packages, ours } = await loaded('client', ['--input-type=module', '-e', script]);
  expect(ours).toContain('producers/client.js');
  expect(ours.filter((file) => file.endsWith('handler.js'))).toEqual([]);
  for (const heavy of ['sharp', 'fluent-ffmpeg', 'nodemailer', 'fastify', 'pg', '@aws-sdk/client-s3'])
    expect(packages).not.toContain(heavy);
});

it('serves a media type without mapping its library: the children do', async () => {
  const dataDir = await mkdtemp(join(folder, 'data-'));
  // The server of the embedded store may be another user's.
  await Promise.all([chmod(folder, 0o755), chmod(dataDir, 0o755)]);
  const worker = spawn(process.execPath, [join(root, 'cli/jobfleet.js'), 'worker', '--queues', 'image-processing'], {
    env: { ...process.env, DATA_DIR: dataDir, QUEUE_URL: `embedded:${join(dataDir, 'queue')}`, PORT: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(worker, 'exit');
  try {
    let said = '';
    for await (const text of worker.stderr.setEncoding('utf8')) {
      said += String(text);
      if (said.includes('Worker ready for image-processing')) break;
    }
    expect(said).toContain('Worker ready for image-processing');
    expect(await readFile(`/proc/${worker.pid}/maps`, 'utf8')).not.toMatch(/sharp|vips/);
  } finally {
    worker.kill('SIGTERM');
    await ended;
  }
}, 60_000);
