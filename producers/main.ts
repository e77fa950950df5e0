/** Composition of the API: what `jobfleet api` serves alone, and `jobfleet up` beside the board. */
import fastify from 'fastify';
import type { Backend } from '../backends/backend.ts';
import { createDeadLetters } from '../backends/dead-letters.ts';
import type { Registry } from '../jobs/registry.ts';
import type { Documents } from '../runtime/documents.ts';
import { healthRoutes } from '../runtime/health.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import type { SecretBox } from '../runtime/secret-box.ts';
import type { Client } from './client.ts';
import type { ApiEnv } from './env.ts';
import { type ApiOptions, api } from './http.ts';
import { storedSecrets } from './job-secrets.ts';
import { createJobWatch } from './job-watch.ts';
import { openKeyRates, rateOf } from './key-rates.ts';
import { createKeys } from './keys.ts';
import { serverOptions } from './server-options.ts';
import { createSignedLinks, localSigningKey } from './signed-links.ts';

export interface ApiParts {
  readonly backend: Backend;
  readonly registry: Registry;
  readonly client: Client;
  readonly objects: ObjectStore;
  /** Of the client; dead letters with secret fields are checked and patched with it. */
  readonly secrets?: SecretBox | undefined;
  readonly metrics: Metrics;
  /** Undefined where nothing keeps documents. */
  readonly documents?: Documents | undefined;
  readonly env: ApiEnv;
  /** Where a signing key is kept when the environment names none. */
  readonly dataDir: string;
  readonly version: string;
}

/** What the `api` plugin needs, from opened parts. */
export async function apiOptions(parts: ApiParts): Promise<ApiOptions> {
  const { backend, registry, env } = parts;
  return {
    backend,
    registry,
    client: parts.client,
    objects: parts.objects,
    metrics: parts.metrics,
    hooks: env.HOOKS ?? {},
    documents: parts.documents,
    events: { watch: createJobWatch(backend, parts.objects), perKey: env.EVENT_STREAMS, open: new Set() },
    keys: createKeys({ records: backend.records, staticKey: env.JOBFLEET_KEY }),
    links: createSignedLinks(env.SIGNING_KEY ?? (await localSigningKey(parts.dataDir))),
    deadLetters: createDeadLetters({
      backend,
      queues: [...registry.jobs.keys()],
      checkPayload: (queue, payload) => payloadProblem(registry, queue, payload),
      secrets: (queue, job) => storedSecrets(registry.jobs.get(queue), parts.secrets, job),
    }),
    publicUrl: env.PUBLIC_URL,
    keyRates: openKeyRates(backend, { add: rateOf(env.KEY_RATE_LIMIT), batch: rateOf(env.BATCH_RATE_LIMIT) }, () =>
      parts.metrics.rateLimited.inc({ tenant_class: 'key' }),
    ),
    requestsPerMinute: env.HTTP_RATE_LIMIT,
    requireIdempotencyKey: env.REQUIRE_IDEMPOTENCY_KEY,
    uploadMaxBytes: env.UPLOAD_MAX_BYTES,
    version: parts.version,
  };
}

/** Why a payload would fail its job type's schema again; undefined when it would not. */
function payloadProblem(registry: Registry, queue: string, payload: unknown): string | undefined {
  const job = registry.jobs.get(queue);
  if (job === undefined) return `There is no job type "${queue}" in this release`;
  const parsed = job.payload.safeParse(payload);
  if (parsed.success) return undefined;
  return parsed.error.issues
    .slice(0, 5)
    .map((issue) => `${['payload', ...issue.path.map(String)].join('.')}: ${issue.message}`)
    .join('; ');
}

export interface Api {
  /** `http://host:port`, with the port that was free when 0 was asked for. */
  readonly url: string;
  /** Answers what is under way, then closes the sockets. The parts stay the caller's. */
  readonly close: () => Promise<void>;
}

/** Listens; rejects when the port is taken. `ready`: why no work should be sent here (draining), beside the store's own state. */
export async function startApi(
  parts: ApiParts & {
    readonly log: Log;
    readonly host: string;
    readonly port: number;
    readonly ready?: () => Promise<string | undefined> | string | undefined;
  },
): Promise<Api> {
  const app = fastify(serverOptions(parts.log));
  await app.register(healthRoutes, {
    live: () => undefined,
    ready: async () => (await parts.ready?.()) ?? (await storeProblem(parts.backend)),
    metrics: parts.metrics,
  });
  await app.register(api, await apiOptions(parts));
  const url = await app.listen({ host: parts.host, port: parts.port });
  return { url, close: () => app.close() };
}

/** Why the store cannot be used now, without names of hosts; undefined when it answers. */
async function storeProblem(backend: Backend): Promise<string | undefined> {
  try {
    await backend.ping();
    return undefined;
  } catch {
    return 'The store of jobs does not answer.';
  }
}
