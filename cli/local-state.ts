/**
 * What `jobfleet up` keeps in DATA_DIR beside the store: generated secrets (made once, so that a restart keeps the key
 * and the login), and `client.json`, by which the other commands find this server.
 */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
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

/** Atomic: a reader sees the old file or the new one. */
export async function writeClientFile(
  dataDir: string,
  client: { readonly url: string; readonly key: string },
): Promise<void> {
  const file = join(dataDir, 'client.json');
  await writePrivate(`${file}.${process.pid}`, client);
  await rename(`${file}.${process.pid}`, file);
}

async function writePrivate(file: string, value: unknown): Promise<void> {
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(value, null, 2)}\n`);
  } finally {
    await handle.close();
  }
}
