/**
 * Redis in all its forms for the live suites, until SIGTERM: `tsx redis-servers.ts FOLDER` writes FOLDER/redis.env
 * (lines for the shell) when everything answers. A form whose variable is already set is left to that server.
 */
import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeCertificate } from '../../tests/support/certificate.ts';
import { documentedRights } from '../../tests/support/redis-rights.ts';
import { startRedis } from '../../tests/support/redis-servers.ts';
import { startCluster, startSentinels } from '../../tests/support/redis-sets.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: redis-servers.ts FOLDER');
const certificate = await makeCertificate(folder);
const forms = [
  ['TEST_REDIS_TLS_URL', startWithUser],
  ['TEST_REDIS_SENTINEL_URL', () => startSentinels()],
  ['TEST_REDIS_CLUSTER_URL', () => startCluster()],
] as const;

/** TLS, and a user who may do what the documentation says and nothing else. */
async function startWithUser() {
  const settings = { user: `jobfleet on >few-rights ${documentedRights()}` };
  const server = await startRedis({ certificate, settings });
  return { ...server, url: server.url.replace('//', '//jobfleet:few-rights@') };
}

const wanted = forms.filter(([variable]) => (process.env[variable] ?? '') === '');
const started = await Promise.all(wanted.map(async ([variable, start]) => [variable, await start()] as const));

// Node trusts one file: the authorities it was told before, and ours.
const known = process.env['NODE_EXTRA_CA_CERTS'] ?? '';
const authorities = join(folder, 'authorities.pem');
await writeFile(authorities, `${known === '' ? '' : await readFile(known, 'utf8')}\n${certificate.ca}`);
const lines = started.map(([variable, { url }]) => `export ${variable}='${url}'`);
await writeFile(
  join(folder, 'redis.env.part'),
  `${[...lines, `export NODE_EXTRA_CA_CERTS='${authorities}'`].join('\n')}\n`,
);
await rename(join(folder, 'redis.env.part'), join(folder, 'redis.env'));

const alive = setInterval(() => undefined, 60_000);
await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
clearInterval(alive);
await Promise.all(started.map(([, server]) => server.stop()));
