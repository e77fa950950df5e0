/**
 * What `jobfleet up` keeps in DATA_DIR beside the store: generated secrets (made once, so that a restart keeps the key
 * and the login), and `client.json`, by which the other commands find this server.
 */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { bearer } from '../producers/bearer.ts';
import { CliError } from './output.ts';

const secrets = z.object({
  /** Bearer key of the API. */
  apiKey: z.string().min(32),
  /** Password of the board's admin. */
  boardPassword: z.string().min(12),
});
export type Secrets = z.output<typeof secrets>;

function fresh(): Secrets {
  return {
    apiKey: `jf_local_${randomBytes(24).toString('base64url')}`,
    boardPassword: randomBytes(9).toString('base64url'),
  };
}

/** Reads DATA_DIR/secrets.json, or makes it (0600). Two processes that start at once agree: the first link wins. */
export async function localSecrets(dataDir: string): Promise<Secrets> {
  await mkdir(dataDir, { recursive: true, mode: 0o755 });
  const file = join(dataDir, 'secrets.json');
  const made = `${file}.${process.pid}`;
  try {
    await writePrivate(made, fresh());
    await link(made, file).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    });
  } finally {
    await rm(made, { force: true });
  }
  const parsed = secrets.safeParse(JSON.parse(await readFile(file, 'utf8')));
  if (!parsed.success)
    throw new CliError(`${file} is not what this program wrote; delete it to get a new key and login.`);
  return parsed.data;
}

const localServer = z.object({ url: z.url(), key: z.string() });
export type LocalServer = z.output<typeof localServer>;

/** The server that was started with this data folder last; undefined where none was. */
export async function readClientFile(dataDir: string): Promise<LocalServer | undefined> {
  const file = clientFile(dataDir);
  try {
    return localServer.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new CliError(`${file} cannot be read: ${String(error)}. Delete it and start the server again.`);
  }
}

export function clientFile(dataDir: string): string {
  return join(dataDir, 'client.json');
}

/**
 * From now on commands ask this server. But one that runs on the same data folder already stays the one they ask, and its
 * address is the answer: it is there still when this one, started twice by mistake, is stopped again.
 * Atomic: a reader sees the old file or the new one.
 */
export async function announceServer(dataDir: string, server: LocalServer): Promise<string | undefined> {
  const file = clientFile(dataDir);
  const other = await readClientFile(dataDir);
  if (other !== undefined && other.url !== server.url && (await answers(other))) return other.url;
  await writePrivate(`${file}.${process.pid}`, server);
  await rename(`${file}.${process.pid}`, file);
  return undefined;
}

/** Knows the key: another program on that port, or a server of another data folder, does not. */
async function answers({ url, key }: LocalServer): Promise<boolean> {
  const request = { headers: { authorization: bearer(key) }, signal: AbortSignal.timeout(2_000) };
  return fetch(new URL('/v1/types', url), request).then(
    ({ ok }) => ok,
    () => false, // Nobody is there any more.
  );
}

async function writePrivate(file: string, value: unknown): Promise<void> {
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(value, null, 2)}\n`);
  } finally {
    await handle.close();
  }
}
