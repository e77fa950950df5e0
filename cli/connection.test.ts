import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { connect, type ServerFlags } from './connection.ts';
import { announceServer } from './local-state.ts';

const gone = 'http://127.0.0.1:2';
let api: TestApi;
let dataDir: string;
let file: string;

beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'jobfleet-connection-'));
  file = join(dataDir, 'client.json');
  return () => rm(dataDir, { recursive: true, force: true });
});

/** What somebody reads who adds a job. */
async function said(flags: ServerFlags, env: Record<string, string>, body: unknown = {}): Promise<string> {
  try {
    const server = await connect(flags, { DATA_DIR: dataDir, ...env });
    await server.call(z.unknown(), 'POST', '/v1/jobs', body);
    return 'it went well';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

test('says where no server is known, and what is missing', async () => {
  expect(await said({}, {})).toMatch(`No server is known here: there is no ${file}. Start one with \`jobfleet up\``);
  expect(await said({ url: api.url }, {})).toBe(`No key is known for ${api.url}: set JOBFLEET_KEY or give --key.`);
  await writeFile(file, '{');
  expect(await said({}, {})).toMatch(`${file} cannot be read`);
});

test('says which server does not answer, and whose key it does not know', async () => {
  const wrong = 'w'.repeat(32);
  await announceServer(dataDir, { url: api.url, key: wrong });
  const unknown = (from: string) => `UNAUTHENTICATED: ${api.url} does not know the key of ${from}.`;
  expect(await said({}, {})).toBe(unknown(file));
  expect(await said({}, { JOBFLEET_KEY: wrong })).toBe(unknown('JOBFLEET_KEY'));
  expect(await said({ key: wrong }, { JOBFLEET_KEY: api.key })).toBe(unknown('--key'));
  expect(await said({}, { JOBFLEET_URL: gone })).toBe(
    `${gone} does not answer (ECONNREFUSED). Is the server running? Start it with \`jobfleet up\`.`,
  );
});

test('says every problem of a request once', async () => {
  await announceServer(dataDir, { url: api.url, key: api.key });
  const text = await said({}, {}, { type: 'image-processing', payload: { source: 1, widths: 'x' } });
  const lines = text.split('\n');
  expect(lines.length).toBe(2);
  expect(lines[0]).toMatch(/^INVALID: payload\.source: /);
  expect(lines[1]).toMatch(/^ {2}payload\.widths: /);
});

test('a server started twice on one data folder leaves the first one to the commands while it answers', async () => {
  const first = { url: api.url, key: api.key };
  const second = { url: 'http://127.0.0.1:3999', key: api.key };
  const known = async () => JSON.parse(await readFile(file, 'utf8')) as object;
  expect(await announceServer(dataDir, first)).toBeUndefined();
  expect(await announceServer(dataDir, second)).toBe(first.url);
  expect(await known()).toEqual(first);
  // Somebody else's server took the port meanwhile; nobody is there.
  for (const stale of [
    { ...first, key: 'x'.repeat(40) },
    { ...first, url: gone },
  ]) {
    await writeFile(file, JSON.stringify(stale));
    expect(await announceServer(dataDir, second)).toBeUndefined();
    expect(await known()).toEqual(second);
  }
});
