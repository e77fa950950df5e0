import { describe, expect, it } from 'vitest';
import { judgePostgres, type PostgresView } from './postgres-findings.ts';
import { judgeRedis, type RedisView } from './redis-findings.ts';
import { isAtLeast, readInfo } from './redis-info.ts';

const safeRedis = {
  redis_version: '7.0.15',
  maxmemory: '1000000',
  maxmemory_policy: 'noeviction',
  aof_enabled: '1',
  aof_last_write_status: 'ok',
  connected_slaves: '1',
  connected_clients: '3',
  maxclients: '10000',
};
const view = (info = {}, config: RedisView['config'] = {}, name = 'a:1'): RedisView => ({
  name,
  info: { ...safeRedis, ...info },
  config: { appendfsync: 'always', 'min-replicas-to-write': '1', ...config },
});
const notOk = (found: readonly { readonly check: string; readonly state: string; readonly detail: string }[]) =>
  found.filter(({ state }) => state !== 'ok').map(({ check, state, detail }) => `${state} ${check}: ${detail}`);

describe('what is found about a Redis', () => {
  it('is nothing when it is safe', () => {
    const found = judgeRedis('sentinel', [view()]);
    expect(notOk(found)).toEqual([]);
    expect(found.map(({ check }) => check)).toEqual(['Redis', 'connections', 'durability', 'eviction', 'fail-over']);
  });

  it.each([
    [
      { maxmemory_policy: 'allkeys-lru' },
      {},
      'unsafe eviction: evicts keys when it is full (maxmemory-policy allkeys-lru).',
    ],
    [{ maxmemory: '0' }, {}, 'weak eviction: noeviction, but no maxmemory.'],
    [{ maxmemory_policy: undefined }, {}, 'weak eviction: does not say what it does when it is full.'],
    [{ maxmemory_policy: undefined }, { 'maxmemory-policy': 'volatile-lru' }, 'unsafe eviction: evicts keys'],
    [{ aof_enabled: '0' }, {}, 'weak durability: AOF off: jobs survive the death of workers, not of redis-server.'],
    [{ aof_last_write_status: 'err' }, {}, 'unsafe durability: cannot write to its disk.'],
    [{}, { appendfsync: 'no' }, 'weak durability: AOF written when the system likes'],
    [{ connected_slaves: '0' }, {}, 'weak fail-over: no replica'],
    [{}, { 'min-replicas-to-write': '0' }, 'weak fail-over: 1 replica, none of them needed to accept a job'],
    [{ connected_clients: '9990' }, {}, 'weak connections: 9990 of 10000 in use'],
  ])('names what is wrong: %j %j', (info, config, words) => {
    const [found, ...others] = notOk(judgeRedis('sentinel', [view(info, config)]));
    expect(found).toContain(words);
    expect(others).toEqual([]);
  });

  it('does not ask one server for replicas, and takes silence about flushing for what it is', () => {
    const found = judgeRedis('single', [view({ connected_slaves: '0' }, { appendfsync: undefined })]);
    expect(notOk(found)).toEqual([]);
    expect(found.find(({ check }) => check === 'durability')?.detail).toContain('CONFIG GET is not allowed');
  });

  it('names the nodes of a Cluster that differ, once', () => {
    const evicting = { maxmemory_policy: 'allkeys-lfu' };
    const views = [view(evicting, {}, 'a:1'), view({}, {}, 'b:2'), view(evicting, {}, 'c:3')];
    expect(notOk(judgeRedis('cluster', views))).toEqual([
      'unsafe eviction: a:1, c:3: evicts keys when it is full (maxmemory-policy allkeys-lfu).',
    ]);
  });

  it('gives each trade its cost and its way out', () => {
    const found = judgeRedis('sentinel', [view({ aof_enabled: '0', maxmemory_policy: 'allkeys-lru' })]);
    for (const one of found.filter(({ state }) => state !== 'ok')) {
      expect(one.why).toMatch(/\.$/);
      expect(one.fix).toMatch(/\.$/);
    }
  });

  it('reads INFO and versions', () => {
    expect(readInfo('# Server\r\nredis_version:7.0.15\r\nexecutable:/usr/bin/x:y\r\n\r\n')).toEqual({
      redis_version: '7.0.15',
      executable: '/usr/bin/x:y',
    });
    expect(['6.2', '6.2.1', '7.0', '10.0', undefined].every((version) => isAtLeast(version, [6, 2]))).toBe(true);
    expect(['6.0.16', '5.9', '2.8'].some((version) => isAtLeast(version, [6, 2]))).toBe(false);
  });
});

const safePostgres: PostgresView = {
  version: 150_018,
  synchronousCommit: 'on',
  fsync: 'on',
  fullPageWrites: 'on',
  isReplica: false,
  maxConnections: 97,
  usedConnections: 10,
  replicas: 0,
  synchronousStandbys: '',
};

describe('what is found about a PostgreSQL', () => {
  it('is nothing when it is safe', () => {
    expect(notOk(judgePostgres(safePostgres, 30))).toEqual([]);
  });

  it.each([
    [{ version: 140_011 }, 'weak PostgreSQL: 14.11: not tested.'],
    [{ fsync: 'off' }, 'unsafe durability: fsync off'],
    [{ fullPageWrites: 'off' }, 'unsafe durability: fsync on, full_page_writes off'],
    [{ synchronousCommit: 'off' }, 'unsafe durability: synchronous_commit off.'],
    [{ isReplica: true }, 'unsafe fail-over: this server is a replica'],
    [{ replicas: 2 }, 'weak fail-over: 2 replicas, none of them synchronous.'],
    [{ usedConnections: 90 }, 'weak connections: 90 of 97 in use'],
  ])('names what is wrong: %j', (changed, words) => {
    const [found, ...others] = notOk(judgePostgres({ ...safePostgres, ...changed }, 30));
    expect(found).toContain(words);
    expect(others).toEqual([]);
  });
});
