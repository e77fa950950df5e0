/** How safely a Redis keeps jobs, judged by what its servers say of themselves. */
import { Cluster } from 'ioredis';
import type { StoreFinding } from './backend.ts';
import type { RedisClient } from './redis-client.ts';
import { type RedisInfo, readInfo } from './redis-info.ts';
import type { RedisAddress } from './redis-url.ts';

/** What one server that takes writes says. */
export interface RedisView {
  readonly name: string;
  readonly info: RedisInfo;
  /** `CONFIG GET`; fields are missing where the server or the rights of the user withhold them. */
  readonly config: Readonly<Partial<Record<string, string>>>;
}

const asked = ['maxmemory-policy', 'appendfsync', 'min-replicas-to-write'];
/** Connections of a process that runs all job types: claim loops, event readers, and a few of its own. */
const perProcess = 30;

/** Every primary of a Cluster, else the one server. */
export async function viewRedis(client: RedisClient): Promise<RedisView[]> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client];
  return Promise.all(
    nodes.map(async (node) => {
      const { host, port } = node.options;
      const [info, ...values] = await Promise.all([
        node.info(),
        ...asked.map((name) => node.config('GET', name).catch(() => undefined)),
      ]);
      const config = Object.fromEntries(asked.map((name, index) => [name, valueOf(values[index])]));
      return { name: `${host}:${port}`, info: readInfo(info), config };
    }),
  );
}

function valueOf(answer: unknown): string | undefined {
  if (!Array.isArray(answer)) return undefined;
  const value: unknown = answer[1];
  return typeof value === 'string' ? value : undefined;
}

/** The same finding at several nodes is one. */
export function judgeRedis(form: RedisAddress['form'], views: readonly RedisView[]): StoreFinding[] {
  const versions = new Set(views.map(({ info }) => info['redis_version'] ?? 'of an unknown version'));
  const servers =
    form === 'cluster'
      ? `Cluster of ${views.length} primaries`
      : form === 'sentinel'
        ? 'behind Sentinels'
        : 'one server';
  return [
    { check: 'Redis', state: 'ok', detail: `${[...versions].join(', ')}, ${servers}.` },
    ...merge(
      views.map((view) => [
        view.name,
        [judgeEviction(view), judgeDisk(view), judgeReplicas(form, view), judgeRoom(view)],
      ]),
    ),
  ];
}

function merge(nodes: readonly (readonly [string, readonly StoreFinding[]])[]): StoreFinding[] {
  const groups = new Map<string, { readonly found: StoreFinding; readonly names: string[] }>();
  for (const [name, findings] of nodes) {
    for (const found of findings) {
      const key = JSON.stringify(found);
      const group = groups.get(key) ?? { found, names: [] };
      group.names.push(name);
      groups.set(key, group);
    }
  }
  const merged = Array.from(groups.values(), ({ found, names }) =>
    names.length === nodes.length ? found : { ...found, detail: `${names.join(', ')}: ${found.detail}` },
  );
  return merged.toSorted((a, b) => a.check.localeCompare(b.check));
}

function judgeEviction({ info, config }: RedisView): StoreFinding {
  const check = 'eviction';
  const policy = info['maxmemory_policy'] ?? config['maxmemory-policy'];
  if (policy === undefined)
    return {
      check,
      state: 'weak',
      detail: `does not say what it does when it is full.`,
      why: 'A Redis that evicts deletes accepted jobs without a word.',
      fix: 'Make sure that maxmemory-policy is noeviction.',
    };
  if (policy !== 'noeviction')
    return {
      check,
      state: 'unsafe',
      detail: `evicts keys when it is full (maxmemory-policy ${policy}).`,
      why: 'It deletes accepted jobs without a word.',
      fix: 'CONFIG SET maxmemory-policy noeviction, and the same in redis.conf or the parameter group.',
    };
  if (info['maxmemory'] === '0')
    return {
      check,
      state: 'weak',
      detail: `noeviction, but no maxmemory.`,
      why: 'Adds are refused in time only below a limit; without one the system ends Redis when memory is used up.',
      fix: 'Set maxmemory below what the machine has.',
    };
  return { check, state: 'ok', detail: `noeviction.` };
}

function judgeDisk({ info, config }: RedisView): StoreFinding {
  const check = 'durability';
  if (info['aof_last_write_status'] === 'err' || info['rdb_last_bgsave_status'] === 'err')
    return {
      check,
      state: 'unsafe',
      detail: `cannot write to its disk.`,
      why: 'It refuses writes, or loses everything with its process.',
      fix: 'Free space on its disk and look at its log.',
    };
  if (info['aof_enabled'] !== '1')
    return {
      check,
      state: 'weak',
      detail: `AOF off: jobs survive the death of workers, not of redis-server.`,
      why: 'After a restart what was accepted since the last snapshot is gone.',
      fix: 'appendonly yes, appendfsync everysec (a power cut loses up to about 1 s) or always (nothing, but slower).',
    };
  switch (config['appendfsync'] ?? '') {
    case 'always':
      return {
        check,
        state: 'ok',
        detail: `AOF always: accepted jobs survive the death of redis-server and a power cut.`,
      };
    case 'no':
      return {
        check,
        state: 'weak',
        detail: `AOF written when the system likes: survives the death of redis-server only.`,
        why: 'A power cut loses up to half a minute of accepted jobs.',
        fix: 'appendfsync everysec or always.',
      };
    case 'everysec':
      return {
        check,
        state: 'ok',
        detail: `AOF every second: survives the death of redis-server; a power cut loses about the last second.`,
      };
    default:
      return {
        check,
        state: 'ok',
        detail: `AOF on: survives the death of redis-server. How often it is flushed is not said (CONFIG GET is not allowed).`,
      };
  }
}

function judgeReplicas(form: RedisAddress['form'], { info, config }: RedisView): StoreFinding {
  const check = 'fail-over';
  const replicas = Number(info['connected_slaves'] ?? '0');
  const counted = `${replicas} replica${replicas === 1 ? '' : 's'}`;
  if (replicas === 0)
    return {
      check,
      state: form === 'single' ? 'ok' : 'weak',
      detail: `no replica: jobs live and die with one machine.`,
      ...(form === 'single'
        ? {}
        : { why: 'Nothing can take over when it dies.', fix: 'Start a replica, or look why it is not connected.' }),
    };
  const required = Number(config['min-replicas-to-write'] ?? info['min_slaves_good_slaves'] ?? '0');
  if (required === 0)
    return {
      check,
      state: 'weak',
      detail: `${counted}, none of them needed to accept a job: a fail-over loses what had not reached them.`,
      why: 'A primary that is cut off goes on accepting jobs, which vanish when it comes back.',
      fix: 'min-replicas-to-write 1 and min-replicas-max-lag 3 bound that, at the price of refused adds meanwhile.',
    };
  return {
    check,
    state: 'ok',
    detail: `${counted}, ${required} needed to accept a job: a fail-over may still lose the last moments.`,
  };
}

function judgeRoom({ info }: RedisView): StoreFinding {
  const check = 'connections';
  const most = Number(info['maxclients'] ?? Number.NaN);
  const used = Number(info['connected_clients'] ?? '0');
  if (Number.isNaN(most) || most - used >= perProcess)
    return { check, state: 'ok', detail: `${used} of ${Number.isNaN(most) ? 'an unknown number' : most}.` };
  return {
    check,
    state: 'weak',
    detail: `${used} of ${most} in use: no room for a process that runs all job types (about ${perProcess}).`,
    why: 'Workers that find no connection do not start, or do not come back after a restart of Redis.',
    fix: 'Raise maxclients (and the limit of open files), or run fewer processes.',
  };
}
