/** A whole API on a throw-away store, reached over real HTTP. */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from '../../backends/backend.ts';
import { openBackend } from '../../backends/open.ts';
import { loadRegistry, type Registry } from '../../jobs/registry.ts';
import { type Client, createClient } from '../../producers/client.ts';
import { apiEnv } from '../../producers/env.ts';
import { startApi } from '../../producers/main.ts';
import type { Documents } from '../../runtime/documents.ts';
import { parseEnv } from '../../runtime/env.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { openObjectStore } from '../../runtime/open-object-store.ts';
import type { SecretBox } from '../../runtime/secret-box.ts';

export interface TestApi {
  readonly url: string;
  readonly key: string;
  readonly backend: Backend;
  readonly client: Client;
  readonly objects: ObjectStore;
  readonly registry: Registry;
  /** With the key and, when there is a body, as JSON. */
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<TestAnswer>;
  /** Bytes in, bytes out, on a socket of its own; resolves when the server closes or after `waitMs` without a byte. */
  readonly raw: (bytes: string | Uint8Array, waitMs?: number) => Promise<string>;
  readonly close: () => Promise<void>;
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

export async function openTestApi(
  options: {
    readonly registry?: Registry;
    readonly env?: Record<string, string>;
    readonly objects?: ObjectStore;
    readonly secrets?: SecretBox;
    readonly documents?: Documents;
    /** That of another API, which closes it; default: one of its own. */
    readonly backend?: Backend;
  } = {},
): Promise<TestApi> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-api-'));
  const key = 'test-key-'.padEnd(40, 'k');
  const failures: Error[] = [];
  const registry = options.registry ?? (await loadRegistry());
  const backend =
    options.backend ?? (await openBackend('embedded:memory', { onError: (error) => void failures.push(error) }));
  const objects = options.objects ?? (await openObjectStore(`file:${folder}/objects`, { baseDir: folder }));
  const metrics = createMetrics();
  const client = createClient({ backend, registry, metrics, secrets: options.secrets });
  const env = parseEnv(apiEnv, { JOBFLEET_KEY: key, HTTP_RATE_LIMIT: '0', ...options.env });
  const log = createLog({ name: 'test', level: 'silent' });
  const parts = {
    backend,
    registry,
    client,
    secrets: options.secrets,
    documents: options.documents,
    objects,
    metrics,
    env,
    dataDir: folder,
    version: '0.0.0',
    log,
  };
  const server = await startApi({ ...parts, host: '127.0.0.1', port: 0 });
  return {
    url: server.url,
    key,
    backend,
    client,
    objects,
    registry,
    call: (method, path, body, headers) => call(server.url + path, key, method, body, headers),
    raw: (bytes, waitMs) => raw(Number(new URL(server.url).port), bytes, waitMs),
    close: async () => {
      await server.close();
      await objects.close();
      if (options.backend === undefined) await backend.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function call(
  url: string,
  key: string,
  method: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<TestAnswer> {
  const response = await fetch(url, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    redirect: 'manual',
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson && text !== '' ? JSON.parse(text) : {},
  };
}

function raw(port: number, bytes: string | Uint8Array, waitMs = 2_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.setTimeout(waitMs, () => socket.destroy());
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', (error) => (answer === '' ? reject(error) : resolve(answer)));
    socket.on('close', () => resolve(answer));
    socket.on('connect', () => socket.write(bytes));
  });
}
