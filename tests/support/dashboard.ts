/** A whole dashboard with its development inbox and real workers, on a throw-away store, reached over real HTTP. */

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import fastify, { type FastifyInstance } from 'fastify';
import type { Backend } from '../../backends/backend.ts';
import { openBackend } from '../../backends/open.ts';
import { type Inbox, startInbox } from '../../dashboard/inbox.ts';
import { dashboard } from '../../dashboard/main.ts';
import { parseUsers } from '../../dashboard/users.ts';
import { loadRegistry, type Registry } from '../../jobs/registry.ts';
import { type Client, createClient } from '../../producers/client.ts';
import { parseEnv } from '../../runtime/env.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { openObjectStore } from '../../runtime/open-object-store.ts';
import type { SecretBox } from '../../runtime/secret-box.ts';
import { workersEnv } from '../../workers/env.ts';
import { startWorkers } from '../../workers/main.ts';

export const passwords = { vera: 'look-but-not-touch', otto: 'repair:the-queue', ada: 'may-do-everything' } as const;
export type Person = keyof typeof passwords;

export interface TestDashboard {
  readonly url: string;
  readonly app: FastifyInstance;
  readonly backend: Backend;
  readonly client: Client;
  readonly inbox: Inbox;
  readonly registry: Registry;
  /** Method and address of every route, patterns as they were registered. */
  readonly routes: readonly { readonly method: string; readonly url: string }[];
  /** Log lines so far, parsed. */
  readonly lines: () => readonly Record<string, unknown>[];
  /** Runs `email-sending` from now on; `unavailable` types are announced. */
  readonly work: () => Promise<void>;
  /** Resolves with the id when a mail to `to` has reached that end. */
  readonly mail: (end: 'completed' | 'failed', payload: unknown) => Promise<string>;
  readonly close: () => Promise<void>;
}

export async function openTestDashboard(
  options: { readonly registry?: Registry; readonly secrets?: SecretBox } = {},
): Promise<TestDashboard> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-board-'));
  const written: string[] = [];
  const destination = new Writable({
    write: (chunk, _encoding, done) => {
      written.push(String(chunk));
      done();
    },
  });
  const log = createLog({ name: 'test', destination });
  const { registry = await loadRegistry(), secrets } = options;
  const backend = await openBackend('embedded:memory', { onError: (err) => log.error({ err }, 'store') });
  const metrics = createMetrics();
  const client = createClient({ backend, registry, metrics, secrets });
  const objects = await openObjectStore(`file:${folder}/objects`, { baseDir: folder });
  const inbox = await startInbox({ dataDir: folder, log });
  const users = parseUsers(`vera:viewer:${passwords.vera},otto:operator:${passwords.otto},ada:admin:${passwords.ada}`);
  const routes: { method: string; url: string }[] = [];
  const app = fastify();
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push({ method: one, url });
  });
  await app.register(dashboard, { backend, registry, client, secrets, log, users, inbox, validateResponses: true });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const stops: (() => Promise<unknown>)[] = [];

  return {
    url,
    app,
    backend,
    client,
    inbox,
    registry,
    routes,
    lines: () => written.map((line) => JSON.parse(line)),
    work: async () => {
      const fleet = await startWorkers({
        registry,
        backend,
        client,
        objects,
        log,
        metrics,
        env: parseEnv(workersEnv, {}),
        handlerEnv: { SMTP_URL: inbox.smtpUrl },
        queues: ['email-sending'],
      });
      stops.push(() => fleet.stop(2_000));
    },
    mail: async (end, payload) => {
      const events = backend.events('email-sending');
      await events.waitUntilReady();
      const ended = once(events, end);
      inbox.refuse(end === 'failed');
      const { id } = await client.enqueueNamed('email-sending', payload, { attempts: 1 });
      await ended;
      inbox.refuse(false);
      return id;
    },
    close: async () => {
      for (const stop of stops) await stop();
      await app.close();
      await inbox.close();
      await objects.close();
      await backend.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
