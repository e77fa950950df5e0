/** Redis servers that stand for each other: under Sentinels, under Sentinels with a network that can split, in a Cluster. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, freePort, type RedisNode, serverFolder, startNode } from '../support/redis-servers.ts';
import { startCluster, startSentinels } from '../support/redis-sets.ts';
import { openProxy, type Proxy } from './proxy.ts';
import type { StoreServer } from './servers.ts';

const persistent = { appendonly: 'yes', appendfsync: 'everysec' };
const downAfterMs = 2_000;
const master = 'jobfleet';

/** `kill` and `freeze` strike the node that is primary at that moment; `start` and `thaw` bring it back as a replica. */
export async function sentinelServer(): Promise<StoreServer> {
  const set = await startSentinels({ downAfterMs, settings: persistent });
  let struck: RedisNode | undefined;
  let [primary] = set.nodes;
  const refresh = async () => {
    primary = await set.primary();
  };
  return {
    url: set.url,
    stock: { kind: 'sentinel', master: set.master, ports: set.sentinels.map(({ port }) => port) },
    async kill() {
      await refresh();
      struck = primary;
      await struck?.kill();
    },
    start: async () => {
      await struck?.start();
    },
    freeze: () => {
      struck = primary;
      if (struck !== undefined) process.kill(struck.pid(), 'SIGSTOP');
    },
    thaw: () => {
      if (struck !== undefined) process.kill(struck.pid(), 'SIGCONT');
    },
    command: async (name = 'PING', ...rest) => (await set.primary()).command(name, ...rest),
    close: () => set.stop(),
  };
}

export interface SplitServer extends StoreServer {
  /** Between the first primary and the rest of the set; clients pass it too and stay connected in a split. */
  readonly proxy: Proxy;
}

/** The connections of Sentinels and replicas, by how they begin. */
export const isOfTheSet = (firstBytes: string): boolean =>
  /sentinel-|REPLCONF|PSYNC/i.test(firstBytes) || firstBytes.startsWith('*1\r\n$4\r\nPING');

/** A primary that everybody reaches through a proxy, a replica and three Sentinels. */
export async function splitServer(): Promise<SplitServer> {
  const dir = await serverFolder();
  const port = await freePort();
  const proxy = await openProxy(port);
  const announced = { 'replica-announce-ip': '127.0.0.1', 'replica-announce-port': String(proxy.port) };
  const own = (name: string) => ({ ...persistent, dbfilename: `${name}.rdb`, appenddirname: name });
  const first = await startNode(dir, port, { settings: { ...own('first'), ...announced } });
  const replica = await startNode(dir, await freePort(), {
    settings: { ...own('second'), replicaof: `127.0.0.1 ${proxy.port}` },
  });
  const sentinels: RedisNode[] = [];
  for (let n = 0; n < 3; n += 1) {
    const file = join(dir, `sentinel-${n}.conf`);
    const lines = [
      `sentinel monitor ${master} 127.0.0.1 ${proxy.port} 2`,
      `sentinel down-after-milliseconds ${master} ${downAfterMs}`,
      `sentinel failover-timeout ${master} ${downAfterMs * 5}`,
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    sentinels.push(await startNode(dir, await freePort(), {}, [file, '--sentinel']));
  }
  await eventually('Sentinels know each other and the replica', async () => {
    const views = await Promise.all(sentinels.map((one) => one.command('SENTINEL', 'MASTER', master)));
    return views.every((view) => /num-slaves,1,.*num-other-sentinels,2/.test(String(view)));
  });
  const ports = sentinels.map((one) => one.port);
  return {
    url: `redis+sentinel://${ports.map((one) => `127.0.0.1:${one}`).join(',')}/${master}`,
    stock: { kind: 'sentinel', master, ports },
    proxy,
    kill: () => first.kill(),
    start: () => first.start(),
    freeze: () => void process.kill(first.pid(), 'SIGSTOP'),
    thaw: () => void process.kill(first.pid(), 'SIGCONT'),
    command: (name = 'PING', ...rest) => replica.command(name, ...rest),
    async close() {
      await proxy.close();
      await Promise.all([first, replica, ...sentinels].map((node) => node.kill()));
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** `kill` strikes the node that serves the slot of the queue. */
export async function clusterServer(): Promise<StoreServer> {
  const set = await startCluster({ replicas: 1, nodeTimeoutMs: downAfterMs, settings: persistent });
  let struck: RedisNode | undefined;
  return {
    url: set.url,
    stock: { kind: 'cluster', ports: set.nodes.map(({ port }) => port) },
    // Ours keeps a queue under {bull:<queue>}, the peer everything under {bull}: whichever is told is killed.
    async kill(key = '{bull:load}') {
      struck = await set.ownerOf(key);
      await struck.kill();
    },
    start: async () => {
      await struck?.start();
    },
    freeze: () => undefined,
    thaw: () => undefined,
    command: async (name = 'PING', ...rest) => set.nodes[0]?.command(name, ...rest),
    close: () => set.stop(),
  };
}
