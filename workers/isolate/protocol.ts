/**
 * The language of a child's pipe (fd 3): one JSON object a line, at most 64 KiB upwards, counted while it arrives.
 * Not Node's own channel: a child that writes 512 MB without a newline to that one ends the worker. The parent believes
 * nothing: every line is parsed, codes that only the worker may give are replaced, delays are clamped, texts are cut.
 */
import { z } from 'zod';
import { JobError, type Verdict } from '../../jobs/errors.ts';
import { documentCall } from './document-calls.ts';

/** Bytes of one line from a child, its newline not counted. */
export const lineLimitBytes = 64 * 1024;
/** Bytes of one line to a child: payloads are at most 10 MiB, the declared variables come on top. */
export const initLimitBytes = 12 * 1024 * 1024;

const text = (max: number) => z.string().transform((value) => value.slice(0, max));
const key = z.string().max(1_024);

interface Trouble {
  readonly message: string;
  readonly stack?: string | undefined;
  readonly cause?: Trouble | undefined;
}

const cause = (depth: number): z.ZodType<Trouble | undefined> =>
  z
    .object({
      message: text(2_048),
      stack: text(8_192).optional(),
      cause: depth > 1 ? z.lazy(() => cause(depth - 1)) : z.unknown().transform(() => undefined),
    })
    .optional();

const failure = z.object({
  code: z.string(),
  effect: z.literal('none').optional(),
  verdict: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('dead') }),
    z.object({ kind: z.literal('later'), delayMs: z.number() }),
    z.object({ kind: z.literal('retry'), notBeforeMs: z.number() }),
  ]),
  message: text(2_048),
  stack: text(8_192).optional(),
  cause: cause(3),
});

/** An error as it crosses the pipe. */
export type Failure = z.output<typeof failure>;

/** An answer must fit into a line, as base64. */
export const childAnswerLimitBytes = 8 * 1024 * 1024;

const httpRequest = z.object({
  url: z.string().max(8_192),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'DELETE']).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  /** Base64; a longer body is the file `bodyFile` of the child's folder. */
  body: z.string().optional(),
  bodyFile: z.string().max(4_096).optional(),
  maxBytes: z.number().min(0).max(childAnswerLimitBytes).optional(),
  readBody: z.boolean().optional(),
  timeoutMs: z.number().min(1).max(3_600_000).optional(),
  redirects: z.int().min(0).max(10).optional(),
  tries: z.int().min(1).max(10).optional(),
  dependency: z.string().max(200).optional(),
  quota: z.object({ points: z.int().min(1), windowMs: z.int().min(1_000) }).optional(),
});

const call = z.discriminatedUnion('name', [
  z.object({ name: z.literal('onceBegin'), key, whenUnknown: z.enum(['repeat', 'skip']) }),
  z.object({ name: z.literal('onceEnd'), key, result: z.unknown().optional() }),
  z.object({ name: z.literal('onceForget'), key }),
  z.object({ name: z.literal('dependencyBegin'), dependency: z.string().max(200) }),
  z.object({
    name: z.literal('dependencyEnd'),
    call: z.int().nonnegative(),
    outcome: z.enum(['failed', 'ok', 'unknown']),
  }),
  z.object({ name: z.literal('http'), request: httpRequest }),
  z.object({
    name: z.literal('enqueue'),
    type: z.string().max(128),
    payload: z.unknown().optional(),
    options: z.object({ key, delayMs: z.number().optional() }),
  }),
  z.object({ name: z.literal('objectFetch'), input: z.string().max(2_048), maxBytes: z.number() }),
  z.object({ name: z.literal('objectPut'), key, path: z.string().max(4_096), contentType: z.string().max(255) }),
  z.object({ name: z.literal('objectHead'), key }),
  z.object({ name: z.literal('children') }),
  z.object({ name: z.literal('objectLink'), key }),
  documentCall,
]);

/** What a handler asks of the worker. */
export type Call = z.output<typeof call>;

/** From the child to the worker. */
export const upward = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('progress'), percent: z.number(), note: text(500).optional() }),
  z.object({
    kind: z.literal('log'),
    level: z.enum(['debug', 'info', 'warn', 'error']),
    message: text(8_192),
    facts: z.record(z.string(), z.unknown()).optional(),
  }),
  z.object({ kind: z.literal('call'), id: z.int().nonnegative(), call }),
  z.object({ kind: z.literal('result'), result: z.unknown().default(null) }),
  z.object({ kind: z.literal('error'), error: failure }),
]);
export type Upward = z.output<typeof upward>;

/** From the worker to the child. */
export const downward = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('init'),
    facts: z.object({
      id: z.string(),
      tenant: z.string(),
      attempt: z.number(),
      maxAttempts: z.number(),
      fence: z.number(),
    }),
    payload: z.unknown().optional(),
    env: z.unknown(),
  }),
  z.object({ kind: z.literal('abort'), code: z.enum(['CANCELLED', 'TIMED_OUT', 'SHUTDOWN', 'LEASE_LOST']) }),
  z.object({ kind: z.literal('answer'), id: z.number(), value: z.unknown().optional() }),
  z.object({ kind: z.literal('refusal'), id: z.number(), error: failure }),
]);
export type Downward = z.output<typeof downward>;

/** A line that breaks the language; ends the child. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** Throws `ProtocolError` for anything that is no message of `schema`. */
export function parseLine<S extends z.ZodType>(schema: S, line: string): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ProtocolError(`expected a line of JSON, got ${JSON.stringify(line.slice(0, 80))}`);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new ProtocolError(`unknown message: ${z.prettifyError(parsed.error).slice(0, 300)}`);
  return parsed.data;
}

/** Cuts a byte stream into lines. Keeps at most `limitBytes`; throws `ProtocolError` as soon as a line is longer. */
export function createLineReader(limitBytes: number): (chunk: Buffer) => Iterable<string> {
  let parts: Buffer[] = [];
  let heldBytes = 0;
  return function* read(chunk) {
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(10, start);
      const piece = chunk.subarray(start, newline === -1 ? chunk.length : newline);
      if (heldBytes + piece.length > limitBytes) throw new ProtocolError(`a line is longer than ${limitBytes} bytes`);
      parts.push(piece);
      heldBytes += piece.length;
      if (newline === -1) return;
      const line = parts.length === 1 ? piece : Buffer.concat(parts, heldBytes);
      parts = [];
      heldBytes = 0;
      start = newline + 1;
      yield line.toString('utf8');
    }
  };
}

const ours = /^(SANDBOX_.*|CANCELLED|EXPIRED|TIMED_OUT|SHUTDOWN|LEASE_LOST|INTERNAL|UNEXPECTED)$/;
const codeRule = /^[A-Z][A-Z0-9_]{0,63}$/;

/** Makes an error ready for the pipe. Whatever is no `JobError` becomes `UNEXPECTED`, to be retried. */
export function describeError(error: unknown): Failure {
  const own = error instanceof JobError ? error : undefined;
  const trouble = describeTrouble(error, 3);
  return {
    code: own?.code ?? 'UNEXPECTED',
    ...(own?.effect === 'none' ? { effect: own.effect } : {}),
    verdict: own?.verdict ?? { kind: 'retry', notBeforeMs: 0 },
    ...trouble,
    cause: trouble.cause,
  };
}

function describeTrouble(error: unknown, depth: number): Trouble {
  if (!(error instanceof Error)) return { message: describeThrown(error).slice(0, 2_048) };
  return {
    message: error.message.slice(0, 2_048),
    stack: error.stack?.slice(0, 8_192),
    cause: error.cause === undefined || depth <= 1 ? undefined : describeTrouble(error.cause, depth - 1),
  };
}

function describeThrown(value: unknown): string {
  if (typeof value === 'string') return value;
  try {
    return `thrown: ${JSON.stringify(value) ?? typeof value}`;
  } catch {
    return `thrown: a ${typeof value} that is no JSON`;
  }
}

/** The error a handler meets when the worker refused its call. The worker is believed. */
export function restoreError(sent: Failure): JobError {
  return build(sent, sent.code, sent.verdict);
}

/** The error of an answer, as far as a child is believed. `maxDelayMs` clamps what it asks to wait. */
export function believeError(sent: Failure, maxDelayMs: number): JobError {
  if (!codeRule.test(sent.code) || ours.test(sent.code)) {
    return build(sent, 'UNEXPECTED', { kind: 'retry', notBeforeMs: 0 });
  }
  return build(sent, sent.code, clamp(sent.verdict, maxDelayMs));
}

function clamp(verdict: Verdict, maxMs: number): Verdict {
  const whole = (value: number): number =>
    Number.isFinite(value) ? Math.min(maxMs, Math.max(0, Math.round(value))) : 0;
  switch (verdict.kind) {
    case 'dead':
      return verdict;
    case 'later':
      return { kind: 'later', delayMs: whole(verdict.delayMs) };
    case 'retry':
      return { kind: 'retry', notBeforeMs: whole(verdict.notBeforeMs) };
  }
}

function build(sent: Failure, code: string, verdict: Verdict): JobError {
  const inner = sent.cause === undefined ? undefined : { cause: buildTrouble(sent.cause) };
  const error = new JobError(code, sent.message, verdict, { ...inner, effect: sent.effect ?? 'unknown' });
  if (sent.stack !== undefined) error.stack = sent.stack;
  return error;
}

function buildTrouble(trouble: Trouble): Error {
  const inner = trouble.cause === undefined ? undefined : { cause: buildTrouble(trouble.cause) };
  const error = new Error(trouble.message, inner);
  if (trouble.stack !== undefined) error.stack = trouble.stack;
  return error;
}
