import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Certificate, makeCertificate } from '../tests/support/certificate.ts';
import { documentedRights } from '../tests/support/redis-rights.ts';
import { type RedisServer, serverFolder, startRedis } from '../tests/support/redis-servers.ts';
import { type ClusterSet, type SentinelSet, startCluster, startSentinels } from '../tests/support/redis-sets.ts';
import { openBackend } from './open.ts';

const run = promisify(execFile);
const onError = (error: Error) => {
  throw error;
};

// Servers of its own: another certificate than the one the process was told to trust, passwords, a dead node.
describe.skipIf(process.env['TEST_REDIS_URL'] === undefined)('an address of Redis', () => {
  let certificate: Certificate;
  let plain: RedisServer;
  let secret: RedisServer;
  let tls: RedisServer;
  let sentinels: SentinelSet;
  let cluster: ClusterSet;
  beforeAll(async () => {
    certificate = await makeCertificate(await serverFolder());
    [plain, secret, tls, sentinels, cluster] = await Promise.all([
      startRedis(),
      startRedis({ password: 'quiet' }),
      startRedis({ certificate }),
      startSentinels(),
      startCluster(),
    ]);
  });
  afterAll(async () => {
    await Promise.all([plain, secret, tls, sentinels, cluster].map((server) => server.stop()));
  });

  const at = (server: { readonly port: number } | undefined, scheme = 'redis') =>
    `${scheme}://127.0.0.1:${server?.port}`;

  it.each([
    ['a certificate nobody trusts', () => tls.url, 'BACKEND_UNTRUSTED', /not trusted .*NODE_EXTRA_CA_CERTS=/],
    ['no TLS where it is wanted', () => at(tls), 'BACKEND_URL', /speaks TLS only on this port; use rediss:/],
    [
      'TLS where there is none',
      () => at(plain, 'rediss'),
      'BACKEND_URL',
      /does not speak TLS on this port; use redis:/,
    ],
    ['no password', () => at(secret), 'BACKEND_FORBIDDEN', /wants a password: put user:password@/],
    [
      'a wrong password',
      () => at(secret).replace('//', '//:hush@'),
      'BACKEND_FORBIDDEN',
      /refuses this user or password/,
    ],
    ['a database that is not there', () => `${plain.url}/99`, 'BACKEND_URL', /has no database 99; name a lower one/],
    ['Cluster of a single server', () => at(plain, 'redis+cluster'), 'BACKEND_URL', /is no Redis Cluster; use redis:/],
    [
      'one server of a Cluster',
      () => at(cluster.nodes[0]),
      'BACKEND_URL',
      /is a node of a Redis Cluster: use redis\+cluster:/,
    ],
    ['a Sentinel as a server', () => at(sentinels.sentinels[0]), 'BACKEND_URL', /is a Sentinel: use redis\+sentinel:/],
    ['a server as a Sentinel', () => `${at(plain, 'redis+sentinel')}/x`, 'BACKEND_URL', /is no Sentinel; use redis:/],
    [
      'an unknown primary',
      () => sentinels.url.replace('/jobfleet', '/nope'),
      'BACKEND_URL',
      /no primary called "nope"/,
    ],
    ['a replica', () => at(sentinels.nodes[1]), 'BACKEND_URL', /is a replica that takes no writes: name its primary/],
  ])('says what is wrong: %s', async (_what, url, code, words) => {
    const opening = openBackend(url(), { onError });
    await expect(opening).rejects.toMatchObject({ name: 'BackendError', code, message: expect.stringMatching(words) });
    await expect(opening).rejects.not.toThrow('hush');
  });

  it('says that a Cluster lacks nodes, and opens it when they are back', async () => {
    const [node] = cluster.nodes;
    await node?.kill();
    await expect
      .poll(() => openBackend(cluster.url, { onError }).then(String, ({ message }: Error) => message), {
        timeout: 20_000,
      })
      .toMatch(/is not complete \(cluster_state is not ok\); bring its nodes up/);
    await node?.start();
    await expect
      .poll(() => openBackend(cluster.url, { onError }).then((backend) => backend.close(), String), { timeout: 20_000 })
      .toBeUndefined();
    // One node agrees before the others do, and the next test may ask any.
    for (const each of cluster.nodes) {
      await expect
        .poll(async () => String(await each.command('CLUSTER', 'INFO')), { timeout: 20_000 })
        .toContain('cluster_state:ok');
    }
  });

  it('lets a user with the documented rights work in a Cluster, and names the right that lacks', async () => {
    const rights = documentedRights().split(' ');
    for (const node of cluster.nodes) {
      await node.command('ACL', 'SETUSER', 'few', 'on', '>hush', ...rights);
      await node.command('ACL', 'SETUSER', 'none', 'on', '>hush', '+hello', '+ping');
    }
    const backend = await openBackend(cluster.url.replace('//', '//few:hush@'), { onError });
    expect(backend.capabilities.flows).toBe(false);
    await backend.queue('rights').add('x', {}, { jobId: 'rights_1' });
    expect(await backend.queue('rights').getJobState('rights_1')).toBe('waiting');
    await backend.control.send({ kind: 'cancel', queue: 'rights', id: 'rights_1' });
    await backend.close();
    await expect(openBackend(cluster.url.replace('//', '//none:hush@'), { onError })).rejects.toMatchObject({
      code: 'BACKEND_FORBIDDEN',
      message: expect.stringMatching(/does not let this user work \(NOPERM .*rights that docs\/configuration.md lists/),
    });
  });

  it('over TLS is trusted by NODE_EXTRA_CA_CERTS, in each form', async () => {
    const sets = await Promise.all([startSentinels({ certificate }), startCluster({ certificate })]);
    const program = `
      import { openBackend } from ${JSON.stringify(join(process.cwd(), 'dist/backends/open.js'))};
      const backend = await openBackend(process.argv[1], { onError: (error) => { throw error; } });
      await backend.queue('tls').add('x', {}, { jobId: 'tls_1' });
      const { worker } = backend.worker('tls', async () => 'done', { concurrency: 1, leaseMs: 5000, backoff: () => -1 });
      const completed = new Promise((resolve) => worker.once('completed', (job) => resolve(job.id)));
      void worker.run();
      console.log(await completed);
      await backend.close();`;
    try {
      for (const { url } of [tls, ...sets]) {
        const env = { ...process.env, NODE_EXTRA_CA_CERTS: certificate.caFile };
        const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program, url], { env });
        expect(stdout.trim()).toBe('tls_1');
      }
    } finally {
      await Promise.all(sets.map((set) => set.stop()));
    }
  });

  it('opens Sentinels with a user of their own, and says when they want one', async () => {
    for (const sentinel of sentinels.sentinels) {
      await sentinel.command('ACL', 'SETUSER', 'watcher', 'on', '>hush', 'allchannels', '+@all');
      await sentinel.command('ACL', 'SETUSER', 'default', 'off');
    }
    await expect(openBackend(sentinels.url, { onError })).rejects.toMatchObject({
      code: 'BACKEND_FORBIDDEN',
      message: expect.stringContaining('has Sentinels that want a password of their own: add ?sentinelPassword='),
    });
    const backend = await openBackend(`${sentinels.url}?sentinelUser=watcher&sentinelPassword=hush`, { onError });
    await backend.ping();
    await backend.close();
  });
});
