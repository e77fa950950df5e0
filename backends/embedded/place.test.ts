import { Client } from 'pg';
import { describe, expect, test } from 'vitest';
import { unfinishedBy } from './create.ts';
import { databaseUrl } from './memory.ts';
import { networkFileSystem, socketFolder, socketUrl } from './place.ts';
import { serverSettings } from './settings.ts';
import { judgeEnd } from './start.ts';
import { mayPass } from './user.ts';

describe('the socket', () => {
  test('stays in the data directory up to 100 bytes, counted in bytes', () => {
    const fitting = `/${'d'.repeat(85)}`;
    expect(socketFolder(fitting)).toBe(fitting);
    expect(socketFolder(`${fitting}d`)).toMatch(/^\/tmp\/jobfleet-[0-9a-f]{12}$/);
    expect(socketFolder(`/${'ü'.repeat(43)}`)).toMatch(/^\/tmp\/jobfleet-/);
    expect(socketFolder(`${fitting}d`)).toBe(socketFolder(`${fitting}d`));
  });

  test.each(['/srv/app/.jobfleet/queue', "/home/Ü ser/a+b & c%20'?#/queue"])('pg reads %s out of the URL', (folder) => {
    const client = new Client({ connectionString: socketUrl(folder) });
    expect([client.host, client.port, client.user, client.database]).toEqual([folder, 5432, 'postgres', 'postgres']);
    const other = new Client({ connectionString: databaseUrl(socketUrl(folder), 'jf_1') });
    expect([other.host, other.port, other.user, other.database]).toEqual([folder, 5432, 'postgres', 'jf_1']);
  });
});

test('network file systems are known by their type, signed or not', () => {
  expect(networkFileSystem(0x6969)).toBe('NFS');
  expect(networkFileSystem(0xff534d42)).toBe('CIFS');
  expect(networkFileSystem(0xff534d42 | 0)).toBe('CIFS');
  // ext4, tmpfs, overlayfs, btrfs, xfs
  for (const local of [0xef53, 0x01021994, 0x794c7630, 0x9123683e, 0x58465342]) {
    expect(networkFileSystem(local)).toBeUndefined();
  }
});

test.each([
  [{ uid: 0, gid: 0, mode: 0o40755 }, true],
  [{ uid: 0, gid: 0, mode: 0o40700 }, false],
  [{ uid: 65_534, gid: 0, mode: 0o40700 }, true],
  [{ uid: 65_534, gid: 0, mode: 0o40077 }, false],
  [{ uid: 0, gid: 65_534, mode: 0o40710 }, true],
  [{ uid: 0, gid: 65_534, mode: 0o40701 }, false],
])('whether nobody may pass %j: %s', (directory, may) => {
  expect(mayPass(directory, { uid: 65_534, gid: 65_534, changed: true })).toBe(may);
});

test('only our unfinished directories name the process that made them', () => {
  expect(unfinishedBy('queue.new-412-0a1b2c3d')).toBe(412);
  expect(unfinishedBy('queue.new-412')).toBeUndefined();
  expect(unfinishedBy('queue')).toBeUndefined();
});

describe('the settings', () => {
  const settings = (change: Partial<Parameters<typeof serverSettings>[0]> = {}): string[] =>
    serverSettings({ major: 18, socketDir: '/srv/queue', durable: true, ...change }).split('\n');

  test('a durable store flushes, a throw-away one does not', () => {
    expect(settings()).toEqual(
      expect.arrayContaining(['fsync = on', 'synchronous_commit = on', 'full_page_writes = on']),
    );
    expect(settings({ durable: false })).toEqual(
      expect.arrayContaining(['fsync = off', 'synchronous_commit = off', 'full_page_writes = off']),
    );
  });

  test('a setting of a newer server is not written for an older one', () => {
    expect(settings()).toContain('io_method = sync');
    expect(settings({ major: 17 })).not.toContain('io_method = sync');
  });

  test('quotes of a path are doubled', () => {
    expect(settings({ socketDir: "/it's" })).toContain("unix_socket_directories = '/it''s'");
  });
});

describe('a server that ended at once', () => {
  test.each([
    'FATAL:  lock file "postmaster.pid" already exists',
    'FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use',
  ])('is started again after %s', (line) => {
    expect(judgeEnd(`LOG: starting\n${line}\nLOG:  database system is shut down\n`, 'exit code 1').again).toBe(true);
  });

  test('is given up after anything else, with the server’s own words', () => {
    expect(judgeEnd('2026 UTC [1] FATAL:  could not load /srv/pg_hba.conf\n', 'exit code 1')).toEqual({
      again: false,
      reason: 'could not load /srv/pg_hba.conf',
    });
    expect(judgeEnd('', 'exit code 127')).toEqual({ again: false, reason: 'exit code 127' });
  });

  test('another visitor that was the last one out stopped it in good order: it is started again', () => {
    const log = 'LOG:  received fast shutdown request\nFATAL:  terminating connection due to administrator command\n';
    expect(judgeEnd(log, 'exit code 0').again).toBe(true);
  });
});
