/**
 * The worker's side of a child's calls: counts them, runs them with the worker's own `Services`, sends the answers.
 * At most 32 are open at a time (then the pipe is not read) and 10,000 come from one job.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { giveUp, JobError, retry } from '../../jobs/errors.ts';
import type { Services } from '../context.ts';
import { openOutput } from '../services/objects.ts';
import { performDocumentCall } from './document-desk.ts';
import { type Call, type Downward, describeError, ProtocolError } from './protocol.ts';

export interface Desk {
  /** Throws `ProtocolError` over 10,000 calls. */
  take(id: number, call: Call): void;
  /** Calls without an answer, those that wait included. */
  readonly openCalls: () => number;
  /** What last failed on the worker's side and is no `JobError`: too much detail for the child. */
  readonly lastError: () => unknown;
}

export interface DeskParts {
  readonly services: Services;
  readonly folder: string;
  /** The user id that must be able to read fetched inputs; undefined = the worker's own. */
  readonly userId: number | undefined;
  readonly send: (message: Downward) => void;
  /** After every answer and every pause. */
  readonly onChange: () => void;
}

/** Nothing more is read from a child with so many open calls. */
export const maxOpenCalls = 32;
const maxCalls = 10_000;

export function openDesk(parts: DeskParts): Desk {
  // What came in the same chunk as the call that filled the desk; at most a chunk of it, because then nothing is read.
  const waiting: { readonly id: number; readonly call: Call }[] = [];
  let calls = 0;
  let openCalls = 0;
  let lastError: unknown;
  const serve = async (id: number, call: Call): Promise<void> => {
    try {
      parts.send({ kind: 'answer', id, value: await perform(call, parts) });
    } catch (error) {
      if (!(error instanceof JobError)) lastError = error;
      const told =
        error instanceof JobError ? error : retry('UNEXPECTED', `The worker could not serve "${call.name}".`);
      parts.send({ kind: 'refusal', id, error: describeError(told) });
    }
    openCalls -= 1;
    next();
  };
  const next = (): void => {
    while (openCalls < maxOpenCalls) {
      const first = waiting.shift();
      if (first === undefined) break;
      openCalls += 1;
      void serve(first.id, first.call);
    }
    parts.onChange();
  };
  return {
    take(id, call) {
      calls += 1;
      if (calls > maxCalls) throw new ProtocolError(`more than ${maxCalls} calls`);
      waiting.push({ id, call });
      next();
    },
    openCalls: () => openCalls + waiting.length,
    lastError: () => lastError,
  };
}

async function perform(call: Call, { services, folder, userId }: DeskParts): Promise<unknown> {
  switch (call.name) {
    case 'onceBegin':
      return services.onceBegin(call.key, call.whenUnknown);
    case 'onceEnd':
      return services.onceEnd(call.key, call.result);
    case 'onceForget':
      return services.onceForget(call.key);
    case 'dependencyBegin':
      return services.dependencyBegin(call.dependency);
    case 'dependencyEnd':
      return services.dependencyEnd(call.call, call.outcome);
    case 'http': {
      const { body, bodyFile, ...request } = call.request;
      const bytes = bodyFile === undefined ? body && Buffer.from(body, 'base64') : await readBody(folder, bodyFile);
      const answer = await services.http({ ...request, body: bytes });
      return { ...answer, body: Buffer.from(answer.body).toString('base64') };
    }
    case 'enqueue': {
      const { key, delayMs } = call.options;
      return services.enqueue(call.type, call.payload, { key, ...(delayMs === undefined ? {} : { delayMs }) });
    }
    case 'objectFetch': {
      const fetched = await services.objectFetch(call.input, { maxBytes: call.maxBytes });
      if (userId !== undefined) await handOver(fetched.path, folder, userId);
      return fetched;
    }
    case 'objectPut':
      return services.objectPut(call.key, call.path, call.contentType);
    case 'objectHead':
      return services.objectHead(call.key);
    case 'children':
      return services.children();
    case 'objectLink':
      return services.objectLink(call.key);
    case 'documentGet':
    case 'documentPage':
    case 'documentPut':
    case 'documentPutMany':
    case 'documentRemove':
    case 'documentRemovePrefix':
      return performDocumentCall(call, services.documents, folder);
  }
}

/** What a child sends to others is no larger than what it may be given. */
const bodyLimitBytes = 10 * 1024 * 1024;

async function readBody(folder: string, path: string): Promise<Buffer> {
  const file = await openOutput(folder, path);
  try {
    const { size } = await file.stat();
    if (size > bodyLimitBytes)
      throw giveUp('LIMIT_EXCEEDED', `expected a request of at most ${bodyLimitBytes} bytes, got ${size}`);
    const bytes = Buffer.alloc(size);
    const { bytesRead } = await file.read(bytes, 0, size, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Gives an input to the child's user. Only a regular file with one name, directly in the folder: the child can rename there. */
async function handOver(path: string, folder: string, userId: number): Promise<void> {
  if (dirname(path) !== folder) throw new Error(`expected an input directly in ${folder}, got ${path}`);
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const facts = await file.stat();
    if (!facts.isFile() || facts.nlink !== 1) throw new Error(`${path} was exchanged while it was handed over`);
    await file.chown(userId, userId);
  } finally {
    await file.close();
  }
}
