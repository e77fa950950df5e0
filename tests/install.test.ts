/** How the scripts install programs of the system, with the real `script/lib/install.sh` and package clients that fail or succeed. */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../script/lib/install.sh', import.meta.url));
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-install-'));
  await cp(script, join(folder, 'install.sh'));
  await program('sudo', 'shift; exec "$@"');
  await aptThat('exit 100');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function program(name: string, body: string): Promise<void> {
  await writeFile(join(folder, name), `#!/bin/sh\n${body}\n`);
  await chmod(join(folder, name), 0o755);
}

const aptThat = (body: string) => program('apt-get', `echo "$1" >>${join(folder, 'calls')}\n${body}`);

/** What two missing programs say, and how often the package client was called for them. */
async function need(): Promise<{ readonly said: string; readonly calls: string[] }> {
  await writeFile(join(folder, 'calls'), '');
  const lines = [
    '. ./install.sh',
    'need_program jf-one "the first" pkg-one brew-one || true',
    'need_program jf-two "the second" pkg-two brew-two || true',
  ];
  await writeFile(join(folder, 'needs.sh'), lines.join('\n'));
  const { stderr } = await run('bash', ['-eu', 'needs.sh'], {
    cwd: folder,
    env: { PATH: `${folder}:/usr/bin:/bin` },
  });
  return { said: stderr, calls: (await readFile(join(folder, 'calls'), 'utf8')).split('\n').filter(Boolean) };
}

test.skipIf(process.platform !== 'linux')('a failed installation is not tried again for a day', async () => {
  const first = await need();
  expect(first.calls, 'one look at the lists for both').toEqual(['update']);
  expect(first.said).toContain('pkg-one could not be installed; the first stays unavailable.');
  const second = await need();
  expect(second.calls).toEqual([]);
  expect(second.said).toContain('pkg-two is missing, so the second stays unavailable: it could not be installed today');
  const yesterday = Date.now() / 1_000 - 86_500;
  await utimes(join(folder, '.cache/failed-installs/pkg-two'), yesterday, yesterday);
  expect((await need()).calls).toEqual(['update']);
});

test.skipIf(process.platform !== 'linux')('what can be installed is, after one look at the lists', async () => {
  await aptThat(`for package; do :; done; [ "$1" = update ] || ln -s /bin/true "${folder}/jf-\${package#pkg-}"`);
  expect((await need()).calls).toEqual(['update', 'install', 'install']);
  expect(await need()).toEqual({ said: '', calls: [] });
});
