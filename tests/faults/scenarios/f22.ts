import { execFile } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';
import { postgresServer, redisServer, type StoreName, type StoreServer, startServer } from '../servers.ts';

const run = promisify(execFile);

export const scenario: Scenario = {
  title: 'the disk of the store is full for a third of the time',
  stores: ['redis', 'postgres', 'embedded'],
  load: usualLoad,
  needsRoot: true,
  alert: /No space left on device|MISCONF|could not (?:extend|write)/i,
  server: onSmallDisk,
  async inject({ server, note, seconds, store, side }) {
    await wait(seconds * 330);
    note('inject', 'disk full');
    const free = fill(diskOf(server));
    await wait(seconds * 330);
    free();
    note('heal', 'space again');
    // A PostgreSQL without room for its log ends itself; nobody but its keeper starts it again.
    if (store === 'postgres' || (store === 'embedded' && side === 'stock')) await server.start();
    await wait(seconds * 330);
  },
};

interface SmallDisk extends StoreServer {
  readonly disk: string;
}

/** Needs root: a file system of its own. */
async function onSmallDisk(store: StoreName, folder: string): Promise<SmallDisk> {
  const disk = join(folder, 'disk');
  await mkdir(disk);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=192m', 'tmpfs', disk]);
  await chmod(disk, 0o755);
  const server = await openOn(store, disk);
  return {
    ...server,
    disk,
    async close() {
      await server.close();
      await run('umount', ['-l', disk]);
    },
  };
}

function openOn(store: StoreName, disk: string): Promise<StoreServer> {
  if (store === 'redis') return redisServer({ dir: disk });
  return store === 'postgres' ? postgresServer(join(disk, 'postgres')) : startServer(store, disk);
}

function diskOf(server: StoreServer): string {
  if ('disk' in server && typeof server.disk === 'string') return server.disk;
  throw new Error('this store has no disk of its own');
}

/** Until nothing more fits. Answers how to free it again. */
function fill(disk: string): () => void {
  const path = join(disk, 'ballast');
  const file = openSync(path, 'w');
  for (const size of [1_000_000, 4_096, 1]) {
    try {
      for (;;) writeSync(file, Buffer.alloc(size));
    } catch {
      // No room for a block of this size.
    }
  }
  closeSync(file);
  return () => rmSync(path);
}
