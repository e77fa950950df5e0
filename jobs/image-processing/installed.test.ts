import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sharpMissing } from './installed.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-sharp-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('finds sharp with its binary where these tests run', () => {
  expect(sharpMissing()).toBeUndefined();
});

it('says that it is not installed, or installed without a binary for this platform, and what to do', async () => {
  const from = pathToFileURL(join(folder, 'handler.js')).href;
  expect(sharpMissing(process, from)).toMatch(/^sharp is not installed: .*npm ci/);
  for (const name of ['sharp', '@img/sharp-darwin-arm64']) {
    const own = join(folder, 'node_modules', name);
    await mkdir(own, { recursive: true });
    await writeFile(join(own, name === 'sharp' ? 'index.js' : 'sharp.node'), '');
  }
  expect(sharpMissing({ platform: 'linux', arch: 'x64' }, from)).toMatch(/^sharp has no binary for linux-x64: /);
  expect(sharpMissing({ platform: 'darwin', arch: 'arm64' }, from)).toBeUndefined();
});
