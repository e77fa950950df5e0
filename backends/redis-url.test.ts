import { describe, expect, it } from 'vitest';
import { parseRedisUrl } from './redis-url.ts';

describe('an address of Redis', () => {
  it.each([
    ['redis://host', { form: 'single', nodes: [{ host: 'host', port: 6_379 }], tls: false, db: 0 }],
    ['rediss://:p%40ss@host:7/3', { form: 'single', tls: true, db: 3, user: undefined, password: 'p@ss' }],
    ['redis://ann:hush@[::1]:7?db=2', { nodes: [{ host: '::1', port: 7 }], db: 2, user: 'ann', password: 'hush' }],
    [
      'redis+sentinel://ann:hush@a,b:7/the%20one?db=4&sentinelUser=bob&sentinelPassword=quiet',
      {
        form: 'sentinel',
        nodes: [
          { host: 'a', port: 26_379 },
          { host: 'b', port: 7 },
        ],
        master: 'the one',
        db: 4,
        sentinelUser: 'bob',
        sentinelPassword: 'quiet',
        shown: 'redis+sentinel://a,b:7/the%20one',
      },
    ],
    ['REDISS+CLUSTER://a:1,b:2/', { form: 'cluster', tls: true, db: 0, nodes: [{ host: 'a', port: 1 }, { port: 2 }] }],
    ['redis+cluster://a:1/0', { form: 'cluster', tls: false, db: 0 }],
  ])('%s', (url, parts) => {
    expect(parseRedisUrl(url)).toMatchObject(parts);
  });
});
