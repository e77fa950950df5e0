/** Several Redis servers that belong together: a primary with replicas under three Sentinels, and a Cluster. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, freePort, type NodeSettings, type RedisNode, serverFolder, startNode } from './redis-servers.ts';

const master = 'jobfleet';

export interface SentinelSet {
  /** `redis+sentinel://…/<master>`, all three Sentinels named. */
  readonly url: string;
  readonly master: string;
  readonly sentinels: readonly RedisNode[];
  /** The first was the primary at the start. */
  readonly nodes: readonly RedisNode[];
  /** The node the Sentinels agree on now. */
  primary(): Promise<RedisNode>;
  /** Until `node` is no longer the primary and its successor takes writes. */
  failedOver(node: RedisNode): Promise<RedisNode>;
  stop(): Promise<void>;
}

export interface SentinelSettings extends NodeSettings {
  /** Default 1. */
  readonly replicas?: number;
  /** Default 1,000: a fail-over is done about 2 s after the primary died. */
  readonly downAfterMs?: number;
}

export async function startSentinels(options: SentinelSettings = {}): Promise<SentinelSet> {
  const dir = await serverFolder();
  const nodes: RedisNode[] = [];
  const sentinels: RedisNode[] = [];
  const stop = async () => {
    await Promise.all([...sentinels, ...nodes].map((node) => node.kill()));
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const first = await startNode(dir, await freePort(), inFolder(options, 'node-0'));
    nodes.push(first);
    for (let n = 1; n <= (options.replicas ?? 1); n += 1) {
      const settings = { ...options.settings, replicaof: `127.0.0.1 ${first.port}` };
      nodes.push(await startNode(dir, await freePort(), inFolder({ ...options, settings }, `node-${n}`)));
    }
    for (let n = 0; n < 3; n += 1) sentinels.push(await startSentinel(dir, n, first.port, options));
    const set = sentinelSet(options, sentinels, nodes, stop);
    await eventually('Sentinels know each other and the replicas', async () => {
      const seen = await Promise.all(sentinels.map((one) => sentinelView(one)));
      return seen.every(
        (view) => view['num-slaves'] === String(nodes.length - 1) && view['num-other-sentinels'] === '2',
      );
    });
    return set;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Files of one server must not meet those of another: each set has one folder, the dumps have names of their own. */
function inFolder(options: NodeSettings, name: string): NodeSettings {
  return { ...options, settings: { dbfilename: `${name}.rdb`, appenddirname: name, ...options.settings } };
}

async function startSentinel(dir: string, n: number, primary: number, options: SentinelSettings): Promise<RedisNode> {
  const file = join(dir, `sentinel-${n}.conf`);
  const downAfterMs = options.downAfterMs ?? 1_000;
  const lines = [
    `sentinel monitor ${master} 127.0.0.1 ${primary} 2`,
    `sentinel down-after-milliseconds ${master} ${downAfterMs}`,
    `sentinel failover-timeout ${master} ${downAfterMs * 5}`,
    ...(options.password === undefined ? [] : [`sentinel auth-pass ${master} ${options.password}`]),
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const { certificate } = options;
  return startNode(dir, await freePort(), certificate === undefined ? {} : { certificate }, [file, '--sentinel']);
}

async function sentinelView(sentinel: RedisNode): Promise<Record<string, string>> {
  const flat = await sentinel.command('SENTINEL', 'MASTER', master);
  if (!Array.isArray(flat)) throw new TypeError('expected the fields of a master');
  return Object.fromEntries(Array.from({ length: flat.length / 2 }, (_, n) => [flat[n * 2], String(flat[n * 2 + 1])]));
}

function sentinelSet(
  options: SentinelSettings,
  sentinels: readonly RedisNode[],
  nodes: readonly RedisNode[],
  stop: () => Promise<void>,
): SentinelSet {
  const scheme = options.certificate === undefined ? 'redis+sentinel' : 'rediss+sentinel';
  const user = options.password === undefined ? '' : `:${options.password}@`;
  const primary = async () => {
    const views = await Promise.all(sentinels.map((one) => sentinelView(one)));
    const ports = new Set(views.map(({ port }) => Number(port)));
    const [port] = ports;
    const node = nodes.find((one) => one.port === port);
    if (ports.size !== 1 || node === undefined) throw new Error(`the Sentinels name ${[...ports].join(' and ')}`);
    return node;
  };
  return {
    url: `${scheme}://${user}${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${master}`,
    master,
    sentinels,
    nodes,
    primary,
    failedOver: async (before) => {
      let now = before;
      await eventually('a fail-over', async () => {
        now = await primary();
        const role = now === before ? [] : await now.command('ROLE');
        return Array.isArray(role) && role[0] === 'master';
      });
      return now;
    },
    stop,
  };
}

export interface ClusterSet {
  /** `redis+cluster://…`, every node named. */
  readonly url: string;
  /** Three primaries, then their replicas. */
  readonly nodes: readonly RedisNode[];
  /** The primary that serves the slot of `key` now. */
  ownerOf(key: string): Promise<RedisNode>;
  stop(): Promise<void>;
}

export interface ClusterSettings extends NodeSettings {
  /** Replicas of each of the three primaries. Default 0. */
  readonly replicas?: 0 | 1;
  /** A primary silent for so long is replaced. Default 2,000. */
  readonly nodeTimeoutMs?: number;
}

const primaries = 3;
const slots = 16_384;

export async function startCluster(options: ClusterSettings = {}): Promise<ClusterSet> {
  const dir = await serverFolder();
  const nodes: { readonly node: RedisNode; readonly busPort: number }[] = [];
  const stop = async () => {
    await Promise.all(nodes.map(({ node }) => node.kill()));
    await rm(dir, { recursive: true, force: true });
  };
  try {
    for (let n = 0; n < primaries * (1 + (options.replicas ?? 0)); n += 1) {
      // The default, port + 10,000, may be no port at all.
      const busPort = await freePort();
      const settings = {
        'cluster-enabled': 'yes',
        'cluster-port': String(busPort),
        'cluster-config-file': `nodes-${n}.conf`,
        'cluster-node-timeout': String(options.nodeTimeoutMs ?? 2_000),
        ...(options.certificate === undefined ? {} : { 'tls-cluster': 'yes' }),
        ...options.settings,
      };
      const own = inFolder({ ...options, settings }, `node-${n}`);
      nodes.push({ node: await startNode(dir, await freePort(), own), busPort });
    }
    await introduce(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  const all = nodes.map(({ node }) => node);
  const scheme = options.certificate === undefined ? 'redis+cluster' : 'rediss+cluster';
  const user = options.password === undefined ? '' : `:${options.password}@`;
  return {
    url: `${scheme}://${user}${all.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes: all,
    ownerOf: (key) => ownerOf(all, key),
    stop,
  };
}

/** Deals the slots, introduces the nodes to each other, gives each primary its replica, and waits until all agree. */
async function introduce(nodes: readonly { readonly node: RedisNode; readonly busPort: number }[]): Promise<void> {
  for (const [n, { node, busPort }] of nodes.entries()) {
    await node.command('CLUSTER', 'SET-CONFIG-EPOCH', String(n + 1));
    if (n < primaries) {
      const from = Math.ceil((slots * n) / primaries);
      const to = Math.ceil((slots * (n + 1)) / primaries) - 1;
      await node.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    }
    // Everybody to everybody: rumours alone take several seconds.
    const known = nodes.slice(0, n);
    await Promise.all(
      known.map((other) => other.node.command('CLUSTER', 'MEET', '127.0.0.1', String(node.port), String(busPort))),
    );
  }
  const all = async (field: string) => {
    const infos = await Promise.all(nodes.map(({ node }) => node.command('CLUSTER', 'INFO')));
    return infos.every((info) => String(info).includes(field));
  };
  await eventually('all nodes of the Cluster know each other', () => all(`cluster_known_nodes:${nodes.length}\r`));
  for (const [n, { node }] of nodes.entries()) {
    if (n < primaries) continue;
    const primary = await nodes[n - primaries]?.node.command('CLUSTER', 'MYID');
    await eventually('a replica finds its primary', async () => {
      return (await node.command('CLUSTER', 'REPLICATE', String(primary))) === 'OK';
    });
    await eventually('a replica is in step', async () => {
      return String(await node.command('INFO', 'replication')).includes('master_link_status:up');
    });
  }
  await eventually('the Cluster is up', () => all('cluster_state:ok\r'));
}

async function ownerOf(nodes: readonly RedisNode[], key: string): Promise<RedisNode> {
  for (const node of nodes) {
    const owned = await owns(node, key);
    if (owned) return node;
  }
  throw new Error(`no node serves the slot of ${key}`);
}

/** A primary answers for its own slots and points elsewhere for others; a dead node answers nothing. */
async function owns(node: RedisNode, key: string): Promise<boolean> {
  try {
    await node.command('EXISTS', key);
    return true;
  } catch {
    return false;
  }
}
