/**
 * Other queues, as further lines where they are: nothing of ours depends on them. They are looked up in the folder that
 * BENCH_PEERS names (bench/README.md says how to fill it); what is not there, or needs another Node, is said.
 */
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openBee } from './peer-bee.ts';
import { openGraphile } from './peer-graphile.ts';
import { openPgBoss } from './peer-pg-boss.ts';
import type { Server } from './servers.ts';
import type { Side } from './side.ts';

export interface PeerOptions {
  readonly server: Pick<Server, 'url'>;
  /** The imported package; `default` of a CommonJS one. */
  readonly module: Readonly<Record<string, unknown>>;
  readonly atOnce: number;
}

interface Peer {
  readonly name: string;
  readonly on: 'postgres' | 'redis';
  readonly node: number;
  readonly open: (options: PeerOptions) => Promise<Side>;
}

const peers: readonly Peer[] = [
  { name: 'bee-queue', on: 'redis', node: 20, open: openBee },
  { name: 'pg-boss', on: 'postgres', node: 22, open: openPgBoss },
  { name: 'graphile-worker', on: 'postgres', node: 22, open: openGraphile },
];

const told = new Set<string>();

function skip(name: string, reason: string): void {
  if (!told.has(name)) process.stderr.write(`  ${name}: skipped, ${reason}\n`);
  told.add(name);
}

/** Those that run here, open, in their best settings; of the others the reason is printed, once. */
export async function openPeers(server: Pick<Server, 'name' | 'url'>, atOnce: number): Promise<Map<string, Side>> {
  const opened = new Map<string, Side>();
  for (const { name, on, node, open } of peers) {
    if (on !== (server.name === 'redis' ? 'redis' : 'postgres')) continue;
    const folder = process.env['BENCH_PEERS'];
    if (folder === undefined) skip(name, 'set BENCH_PEERS to a folder that it is installed in');
    else if (Number(process.versions.node.split('.')[0]) < node)
      skip(name, `it needs Node ${node} or newer, this is ${process.versions.node}`);
    else {
      const module = await load(folder, name);
      if (module === undefined) skip(name, `it is not installed in ${folder}`);
      else opened.set(name, await open({ server, module, atOnce }));
    }
  }
  return opened;
}

async function load(folder: string, name: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  let path: string;
  try {
    path = createRequire(join(resolve(folder), 'package.json')).resolve(name);
  } catch {
    return undefined;
  }
  return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
}
