/** A fresh clone as a newcomer has it: the files git knows, packages installed, nothing else. */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, rm, symlink, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

export interface Clone {
  readonly dir: string;
  remove(): Promise<void>;
}

export async function freshClone(): Promise<Clone> {
  const dir = await mkdtemp(join(tmpdir(), 'jobfleet-clone-'));
  await chmod(dir, 0o755); // run by root, the embedded server is nobody's
  const { stdout } = await run('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: root,
    maxBuffer: 1 << 24,
  });
  for (const file of stdout.split('\0').filter(Boolean)) {
    await mkdir(dirname(join(dir, file)), { recursive: true });
    // A file git knows may be deleted in the working tree.
    await cp(join(root, file), join(dir, file)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
  // Packages are linked, not installed anew: npm needs half a minute of computing and 400 MB for what the machine that
  // runs these tests has just done itself, with the same `npm ci` of script/lib/install.sh.
  await symlink(join(root, 'node_modules'), join(dir, 'node_modules'));
  // Older than what is installed: nothing to install.
  await utimes(join(dir, 'package-lock.json'), 0, 0);
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}
