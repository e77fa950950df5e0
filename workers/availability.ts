/** Which of the wanted job types this process can run, and why not the others: one that is missing something must not stop the rest. */
import { z } from 'zod';
import type { Capabilities, RecordStore } from '../backends/backend.ts';
import type { Handler, Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { ConfigurationError, parseEnv } from '../runtime/env.ts';
import { documentsMissing } from './services/documents.ts';

/** A type that can run here. `env` are its declared variables as strings, for `handler.open()`. */
export interface ServedType {
  readonly job: Job;
  readonly handler: Handler;
  readonly env: Readonly<Record<string, string>>;
}

/** Changes while the process runs: `recheck.ts` moves a type over once it can run. */
export interface Availability {
  readonly served: ServedType[];
  /** Name → one sentence. */
  readonly unavailable: Map<string, string>;
}

type Values = Readonly<Record<string, string | undefined>>;

/** What the process brings to every job type. */
export interface Provided {
  readonly capabilities: Pick<Capabilities, 'flows'>;
  /** Why documents cannot be kept; undefined when they can. */
  readonly documents: () => Promise<string | undefined>;
  /** It has a key for secret fields. */
  readonly key: boolean;
}

const usual: Provided = {
  capabilities: { flows: true },
  documents: async () => documentsMissing,
  key: false,
};

/** `names` undefined = all. Throws `ConfigurationError` for a name no folder has. */
export async function findAvailable(
  registry: Registry,
  names: readonly string[] | undefined,
  values: Values,
  has: Provided = usual,
): Promise<Availability> {
  const jobs = wantedJobs(registry, names);
  const looked = await Promise.all(jobs.map((job) => lookAt(registry, job, values, has)));
  const unavailable = new Map<string, string>();
  const served: ServedType[] = [];
  for (const found of looked) {
    if ('reason' in found) unavailable.set(found.job.name, found.reason);
    else served.push(found);
  }
  return { served, unavailable };
}

function wantedJobs(registry: Registry, names: readonly string[] | undefined): Job[] {
  if (names === undefined) return [...registry.jobs.values()];
  const unknown = names.filter((name) => registry.find(name) === undefined);
  if (unknown.length > 0)
    throw new ConfigurationError(
      `QUEUES names ${unknown.join(', ')}; known job types: ${[...registry.jobs.keys()].join(', ')}`,
    );
  return [...new Set(names.map((name) => registry.find(name)))].filter((job) => job !== undefined);
}

/** Judged afresh: imports the handler, reads its variables, asks for its programs. Never throws. */
export async function lookAt(
  registry: Registry,
  job: Job,
  values: Values,
  has: Provided,
): Promise<ServedType | { readonly job: Job; readonly reason: string }> {
  const lacking = lackOf(job, has) ?? (needsDocuments(job) ? await has.documents() : undefined);
  if (lacking !== undefined) return { job, reason: lacking };
  try {
    const handler = await registry.handler(job.name);
    const env = declaredValues(handler.env, values);
    const reason = problemOf(handler.env, env) ?? (await handler.missing());
    return reason === undefined ? { job, handler, env } : { job, reason };
  } catch (error) {
    return { job, reason: error instanceof Error ? error.message : String(error) };
  }
}

function needsDocuments({ collections, documents }: Job): boolean {
  return collections !== undefined && documents !== 'optional';
}

function lackOf({ secretFields, needs }: Job, has: Provided): string | undefined {
  if (secretFields.length > 0 && !has.key)
    return 'It has secret fields: set ENCRYPTION_KEY, the same in every process.';
  if (needs?.includes('flows') === true && !has.capabilities.flows)
    return 'It needs flows, which this store does not keep (BACKEND_UNSUPPORTED): use PostgreSQL or a Redis without Cluster.';
  return undefined;
}

/** The declared variables as they are set, files (`NAME_FILE`) read; the handler parses them itself. */
export function declaredValues(schema: z.ZodType, values: Values): Readonly<Record<string, string>> {
  if (!(schema instanceof z.ZodObject)) return {};
  const asText = z.object(Object.fromEntries(Object.keys(schema.shape).map((name) => [name, z.string().optional()])));
  return Object.fromEntries(
    Object.entries(parseEnv(asText, values)).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function problemOf(schema: z.ZodType, env: Readonly<Record<string, string>>): string | undefined {
  const parsed = schema.safeParse(env);
  if (parsed.success) return undefined;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  return `Set in the environment of the worker: ${problems.join('; ')}`;
}

const presenceTtlMs = 60_000;

/**
 * Says on the store what this process can and cannot run, types and their parts (`<type>/<part>`), for 60 s: the API and the
 * board grey out what nobody can.
 */
export async function announce(records: RecordStore, available: Availability, has: Provided): Promise<void> {
  const missing = new Map(available.unavailable);
  const ok = available.served.map(({ job }) => job.name);
  for (const served of available.served) {
    const gaps = await gapsOf(served, has);
    for (const part of served.job.parts?.names ?? []) {
      const name = `${served.job.name}/${part}`;
      const reason = gaps[part];
      if (reason === undefined) ok.push(name);
      else missing.set(name, reason);
    }
  }
  await Promise.all([
    ...ok.map((name) => put(records, `type-ok:${name}`, '{}')),
    ...Array.from(missing, ([name, reason]) =>
      put(records, `type-missing:${name}`, JSON.stringify({ reason: reason.slice(0, 2_000) })),
    ),
  ]);
}

/** Parts of a served type that lack variables or documents; documents may come and go. */
async function gapsOf({ job, handler, env }: ServedType, has: Provided): Promise<Readonly<Record<string, string>>> {
  const gaps = handler.gaps(env);
  const needing = job.parts?.needDocuments ?? [];
  const reason = needing.length === 0 ? undefined : await has.documents();
  return reason === undefined ? gaps : { ...gaps, ...Object.fromEntries(needing.map((part) => [part, reason])) };
}

/** Losing to another process that says the same is fine. */
async function put(records: RecordStore, key: string, value: string): Promise<void> {
  const found = await records.putIfAbsent(key, value, presenceTtlMs);
  if (!found.stored) await records.compareAndSet(key, found.version, value, presenceTtlMs);
}
