/**
 * Runs before every test file: its own temporary folder, in TMPDIR, for everything it and its processes make there. Two
 * files at once see nothing of each other, and "nothing is left behind" is a look at one folder. The name is short: a
 * socket's path has 100 bytes. Everybody may write in it, as in /tmp: servers and children run under other ids.
 */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, symlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const shared = realpathSync(tmpdir());
const own = mkdtempSync(join(shared, 'jf-'));
chmodSync(own, 0o1777);

// tsx keeps what it has compiled in the temporary folder: one cache for all files, or every process compiles everything.
const cache = `tsx-${process.geteuid?.() ?? ''}`;
mkdirSync(join(shared, cache), { recursive: true });
symlinkSync(join(shared, cache), join(own, cache));

process.env['TMPDIR'] = own;

// Registered first, so it runs last. What a process that was told to end still writes is waited for, up to 20 s.
afterAll(async () => {
  process.env['TMPDIR'] = shared;
  await rm(own, { recursive: true, force: true, maxRetries: 20 });
});
