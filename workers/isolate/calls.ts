/** The child's side of the calls: what a handler asks of the worker, as messages. The worker's answers are believed. */
import { rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import { giveUp, type JobError } from '../../jobs/errors.ts';
import type { HttpRequest } from '../../jobs/ports.ts';
import type { Services } from '../context.ts';
import { childDocuments } from './document-calls.ts';
import { type Call, childAnswerLimitBytes, type Upward } from './protocol.ts';

const onceAnswer = z.discriminatedUnion('state', [
  z.object({ state: z.literal('done'), result: z.unknown() }),
  z.object({ state: z.literal('run') }),
  z.object({ state: z.literal('skip') }),
]);
const enqueued = z.object({
  id: z.string(),
  type: z.string(),
  queue: z.string(),
  status: z.string(),
  duplicate: z.boolean(),
  createdAt: z.string(),
});
const childJob = { id: z.string(), type: z.string() };
const childJobs = z.array(
  z.discriminatedUnion('state', [
    z.object({ ...childJob, state: z.literal('completed'), result: z.unknown() }),
    z.object({ ...childJob, state: z.literal('failed'), code: z.string() }),
  ]),
);
const fetched = z.object({ path: z.string(), sizeBytes: z.number(), sha256: z.string() });
const linked = z.object({ url: z.string(), expiresAt: z.string() });
const stored = z.object({ object: z.string(), sizeBytes: z.number() });

const answered = z.object({
  status: z.number(),
  headers: z.record(z.string(), z.string()),
  body: z.base64(),
  url: z.string(),
  retryAfterMs: z.number().optional(),
});

/** A longer body is handed over as a file: a line upwards holds 64 KiB. */
const inlineBodyBytes = 16 * 1024;

export interface Calls {
  readonly services: Omit<Services, 'progress' | 'log'>;
  resolve(id: number, value: unknown): void;
  reject(id: number, error: JobError): void;
}

/** `send` throws when a message is longer than a line may be; the call then fails with `LIMIT_EXCEEDED`. */
export function createCalls(send: (message: Upward) => void): Calls {
  let lastId = 0;
  let lastFile = 0;
  const open = new Map<number, PromiseWithResolversOf<unknown>>();
  const ask = <S extends z.ZodType>(schema: S, call: Call): Promise<z.output<S>> => {
    const id = ++lastId;
    const answer = new Promise<unknown>((resolve, reject) => {
      open.set(id, { resolve, reject });
      try {
        send({ kind: 'call', id, call });
      } catch (error) {
        open.delete(id);
        reject(giveUp('LIMIT_EXCEEDED', `${call.name}: ${error instanceof Error ? error.message : 'no JSON'}`));
      }
    });
    return answer.then((value) => schema.parse(value));
  };
  return {
    services: {
      onceBegin: (key, whenUnknown) => ask(onceAnswer, { name: 'onceBegin', key, whenUnknown }),
      onceEnd: async (key, result) => {
        await ask(z.unknown(), { name: 'onceEnd', key, result });
      },
      onceForget: async (key) => {
        await ask(z.unknown(), { name: 'onceForget', key });
      },
      dependencyBegin: (dependency) => ask(z.number(), { name: 'dependencyBegin', dependency }),
      dependencyEnd: async (call, outcome) => {
        await ask(z.unknown(), { name: 'dependencyEnd', call, outcome });
      },
      http: (request) => askHttp(request, ++lastFile, ask),
      enqueue: (type, payload, options) => ask(enqueued, { name: 'enqueue', type, payload, options }),
      objectFetch: (input, { maxBytes }) => ask(fetched, { name: 'objectFetch', input, maxBytes }),
      objectPut: (key, path, contentType) => ask(stored, { name: 'objectPut', key, path, contentType }),
      objectHead: (key) => ask(stored.optional(), { name: 'objectHead', key }),
      objectLink: (key) => ask(linked.optional(), { name: 'objectLink', key }),
      children: () => ask(childJobs, { name: 'children' }),
      documents: childDocuments(ask),
    },
    resolve(id, value) {
      open.get(id)?.resolve(value);
      open.delete(id);
    },
    reject(id, error) {
      open.get(id)?.reject(error);
      open.delete(id);
    },
  };
}

interface PromiseWithResolversOf<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

async function askHttp(
  request: HttpRequest,
  number: number,
  ask: <S extends z.ZodType>(schema: S, call: Call) => Promise<z.output<S>>,
): ReturnType<Services['http']> {
  const { body = '', maxBytes = 5 * 1024 * 1024, ...rest } = request;
  const bytes = Buffer.from(body);
  const bodyFile = bytes.length > inlineBodyBytes ? resolve(`http-body-${number}`) : undefined;
  if (bodyFile !== undefined) await writeFile(bodyFile, bytes, { flag: 'wx', mode: 0o600 });
  const carried =
    request.body === undefined ? {} : bodyFile === undefined ? { body: bytes.toString('base64') } : { bodyFile };
  const asked = { ...rest, ...carried, maxBytes: Math.min(maxBytes, childAnswerLimitBytes) };
  try {
    const { retryAfterMs, ...answer } = await ask(answered, { name: 'http', request: asked });
    const more = retryAfterMs === undefined ? {} : { retryAfterMs };
    return { ...answer, ...more, body: Buffer.from(answer.body, 'base64') };
  } finally {
    if (bodyFile !== undefined) await rm(bodyFile, { force: true });
  }
}
