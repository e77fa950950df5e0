import { once } from 'node:events';
import { chmod, chown, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresServer, type StoreServer } from '../tests/faults/servers.ts';
import { makeCertificate } from '../tests/support/certificate.ts';
import { freePort } from '../tests/support/redis-servers.ts';
import { serverUser } from './embedded/user.ts';
import { openBackend } from './open.ts';

const hba = `
hostssl  all       shy       127.0.0.1/32  trust
host     all       unwanted  127.0.0.1/32  reject
host     all       secret    127.0.0.1/32  scram-sha-256
host     all       postgres,poor,busy,nobody  127.0.0.1/32  trust
`;

const roles = `
  CREATE ROLE shy LOGIN; CREATE ROLE unwanted LOGIN; CREATE ROLE secret LOGIN PASSWORD 'quiet';
  CREATE ROLE poor LOGIN; CREATE ROLE busy LOGIN CONNECTION LIMIT 0;
  CREATE DATABASE closed; REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
  CREATE DATABASE "read only"; ALTER DATABASE "read only" SET default_transaction_read_only = on`;

/** Named by its file system too: the server reads it as its own user. */
async function giveCertificate(folder: string): Promise<string> {
  const { certFile, keyFile } = await makeCertificate(folder);
  const { uid, gid } = serverUser();
  const own = join(folder, 'server.key');
  await copyFile(keyFile, own);
  await chmod(own, 0o600);
  await chown(own, uid, gid);
  return `ssl_cert_file = '${certFile}'\nssl_key_file = '${own}'\n`;
}

// A server of its own: its rules, its certificate, its roles.
describe.skipIf(process.env['TEST_POSTGRES_URL'] === undefined)('an address of PostgreSQL', () => {
  let folder: string;
  let postgres: StoreServer;
  let plain: StoreServer;
  let web: Server;
  let closedPort: number;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'jobfleet-address-'));
    await chmod(folder, 0o755);
    const certificate = await giveCertificate(folder);
    await writeFile(join(folder, 'hba.conf'), hba);
    [postgres, plain] = await Promise.all([
      postgresServer(join(folder, 'tls'), {
        settings: `ssl = on\n${certificate}hba_file = '${join(folder, 'hba.conf')}'\n`,
      }),
      postgresServer(join(folder, 'plain')),
    ]);
    for (const role of roles.split(';')) await postgres.command(role);
    web = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
    await once(web, 'listening');
    closedPort = await freePort();
  });
  afterAll(async () => {
    await postgres.close();
    await plain.close();
    web.close();
    await rm(folder, { recursive: true, force: true });
  });

  const as = (user: string, rest = '') => `${postgres.url.replace('postgres@', `${user}@`)}${rest}`;
  const at = (host: string) => `postgres://jobfleet:hush@${host}/jobfleet`;
  const portOf = (server: { address(): unknown }) => String(Reflect.get(Object(server.address()), 'port'));

  it.each([
    ['no password', () => as('secret'), 'BACKEND_FORBIDDEN', /wants a password: put user:password@/],
    ['a wrong password', () => as('secret:hush'), 'BACKEND_FORBIDDEN', /refuses this user or password; correct them/],
    ['an unknown user', () => as('nobody:hush'), 'BACKEND_FORBIDDEN', /refuses this user or password; correct them/],
    ['a user who is not let in from here', () => as('unwanted'), 'BACKEND_FORBIDDEN', /from here .*pg_hba\.conf/],
    ['no TLS where it is wanted', () => as('shy'), 'BACKEND_URL', /without TLS; add \?sslmode=verify-full/],
    [
      'a certificate nobody trusts',
      () => as('shy', '?sslmode=verify-full'),
      'BACKEND_UNTRUSTED',
      /not trusted .*NODE_EXTRA_CA_CERTS=/,
    ],
    [
      'TLS where there is none',
      () => `${plain.url}?sslmode=verify-full`,
      'BACKEND_URL',
      /does not speak TLS; take sslmode out/,
    ],
    [
      'an unknown database',
      () => as('postgres').replace(/\/postgres$/, '/nope'),
      'BACKEND_UNREACHABLE',
      /has no such database; create it/,
    ],
    ['a user without rights', () => as('poor'), 'BACKEND_FORBIDDEN', /permission denied .*GRANT CONNECT, CREATE/],
    [
      'a database the user may not enter',
      () => as('poor').replace(/\/postgres$/, '/closed'),
      'BACKEND_FORBIDDEN',
      /permission denied .*GRANT CONNECT, CREATE/,
    ],
    [
      'a database that takes no writes',
      () => as('postgres').replace(/\/postgres$/, '/read%20only'),
      'BACKEND_UNREACHABLE',
      /takes no writes; name its primary/,
    ],
    ['too many connections', () => as('busy'), 'BACKEND_UNREACHABLE', /no connection left .*raise max_connections/],
    ['a closed port', () => at(`127.0.0.1:${closedPort}`), 'BACKEND_UNREACHABLE', /does not answer .*start it/],
    ['an unknown host', () => at('nowhere.invalid'), 'BACKEND_UNREACHABLE', /leads nowhere .*correct the host/],
    ['a server of another kind', () => at(`127.0.0.1:${portOf(web)}`), 'BACKEND_UNREACHABLE', /correct host and port/],
    [
      'a server of another kind, over TLS',
      () => `${at(`127.0.0.1:${portOf(web)}`)}?sslmode=verify-full`,
      'BACKEND_UNREACHABLE',
      /correct host and port/,
    ],
  ])('says what is wrong: %s', async (_what, url, code, words) => {
    const opening = openBackend(url(), { onError: () => undefined });
    await expect(opening).rejects.toMatchObject({ name: 'BackendError', code, message: expect.stringMatching(words) });
    await expect(opening).rejects.not.toThrow('hush');
  });

  it('says that nobody answers', async () => {
    const silent = createTcpServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const opening = openBackend(at(`127.0.0.1:${portOf(silent)}`), { onError: () => undefined });
    await expect(opening).rejects.toThrow(/does not answer \(.*timeout.*\); start it, or correct QUEUE_URL/);
    silent.close();
  });

  it('says that the server is not ready yet, and opens it when it is', async () => {
    await plain.kill();
    // A replica without a primary that lets nobody in before it has caught up: as a server that is starting up, for as long as it takes.
    const { uid, gid } = serverUser();
    const signal = join(folder, 'plain', 'standby.signal');
    const more = join(folder, 'plain', 'postgresql.auto.conf');
    await writeFile(signal, '');
    await writeFile(more, 'hot_standby = off\n');
    await chown(signal, uid, gid);
    const starting = plain.start();
    await expect
      .poll(() => openBackend(plain.url, { onError: () => undefined }).then(String, ({ message }: Error) => message), {
        timeout: 20_000,
      })
      .toMatch(/takes no connections yet \(.*\); wait until it has started/);
    await rm(signal);
    await plain.kill();
    await plain.start();
    await starting;
    const backend = await openBackend(plain.url, { onError: () => undefined });
    await backend.close();
  });
});
