/** What a crash, a reboot or another program left in a data directory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { appendFile, chown, mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { kill, openStage, query } from './live-stage.suite.ts';
import type { EmbeddedStore } from './server.ts';
import { serverUser } from './user.ts';

describe('leftovers', () => {
  async function closedStore(open: () => Promise<EmbeddedStore>): Promise<void> {
    await (await open()).close();
  }

  async function pidFile(dir: string, content: string): Promise<void> {
    const path = join(dir, 'postmaster.pid');
    await writeFile(path, content, { mode: 0o600 });
    await chown(path, serverUser().uid, serverUser().gid);
  }

  test('a pid file whose number belongs to a stranger of the same user is dropped', async () => {
    const { dir, undo, open } = await openStage();
    await closedStore(open);
    const { uid, gid, changed } = serverUser();
    const stranger = spawn('sleep', ['600'], { stdio: 'ignore', ...(changed ? { uid, gid } : {}) });
    undo.push(() => stranger.kill('SIGKILL'));
    await once(stranger, 'spawn');
    await pidFile(dir, `${stranger.pid}\n${dir}\n1700000000\n5432\n${dir}\n\n  1 1\nready\n`);
    await writeFile(join(dir, '.s.PGSQL.5432.lock'), `${stranger.pid}\n`);
    expect((await open()).serverPid).not.toBe(stranger.pid);
    expect(stranger.exitCode).toBeNull();
  });

  test.for([
    ['pid 1', '1\n'],
    ['this process', `${process.pid}\n`],
    ['a number nobody has', '4194303\n'],
    ['no number', 'what is this\n'],
  ] as const)('a pid file that names %s is no obstacle', async ([, content]) => {
    const { dir, open } = await openStage();
    await closedStore(open);
    await pidFile(dir, content);
    expect(await query(await open(), 'select 1 as n')).toEqual([{ n: 1 }]);
  });

  test('an empty pid file is dropped once it has been empty for five seconds', async () => {
    const { dir, open } = await openStage();
    await closedStore(open);
    await pidFile(dir, '');
    const old = new Date(Date.now() - 4_000);
    await utimes(join(dir, 'postmaster.pid'), old, old);
    const from = Date.now();
    await open();
    expect(Date.now() - from).toBeGreaterThan(800);
  });

  test('a process killed within initdb leaves nothing in the way', async () => {
    const { root, dir, open, hold } = await openStage();
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
    const { dir, open } = await openStage();
    await closedStore(open);
    await writeFile(join(dir, 'PG_VERSION'), '13\n');
    await expect(open()).rejects.toThrow(
      /made by PostgreSQL 13, and this machine has .*: install PostgreSQL 13, or move/,
    );
  });

  test('a server that cannot start is reported with its own words', async () => {
    const { dir, open } = await openStage();
    await closedStore(open);
    await writeFile(join(dir, 'pg_hba.conf'), 'nonsense\n');
    await expect(open()).rejects.toThrow(/did not start \(could not load .*pg_hba.conf\): see .*server\.log/);
  });

  test('a log above 1 MB moves aside at the next start', async () => {
    const { dir, open } = await openStage();
    await closedStore(open);
    await appendFile(join(dir, 'server.log'), 'x'.repeat(1024 * 1024));
    await open();
    expect((await stat(join(dir, 'server.log.1'))).size).toBeGreaterThan(1024 * 1024);
    expect((await stat(join(dir, 'server.log'))).size).toBeLessThan(10_000);
  });
});
