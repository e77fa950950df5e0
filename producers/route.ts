/** One route as data: what it accepts, what it answers, what it does. The server and the OpenAPI document are both made of it. */

import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ProducerError, parseOrRefuse } from './errors.ts';
import type { Credential, Scope } from './keys.ts';
import type { BodyLimits } from './read-body.ts';

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; a stream is sent as it is. Absent: no body. */
  readonly body?: object | Readable;
}

interface Caller {
  /** Tenant `-` without scopes on routes that need no key. */
  readonly credential: Credential;
  readonly request: FastifyRequest;
  /** Scheme, host and port as the caller reached us, for links that work elsewhere. */
  readonly baseUrl: string;
}

export interface RawCall extends Caller {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

export interface Call<P, Q, B> extends Caller {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

interface Described {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Facts {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** As OpenAPI writes it: `/v1/jobs/{id}`; a last part `{path*}` takes the rest of the address. */
  readonly path: string;
  /** Unique; client generators make it a method's name. */
  readonly operationId: string;
  readonly summary: string;
  readonly tag: string;
  /** What the key must be allowed; `none`: no key is needed. */
  readonly scope: Scope | 'none';
  readonly answers: Readonly<Record<number, Described>>;
  /** Headers a caller may send, by name. */
  readonly requestHeaders?: Readonly<Record<string, string>>;
  /** A larger body than usual. */
  readonly bodyLimits?: BodyLimits;
  /** The body is a stream that the route reads itself, of this many bytes at most. */
  readonly rawBody?: boolean;
}

export interface Route extends Facts {
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  readonly body: z.ZodType;
  readonly handle: (call: RawCall) => Promise<Answer>;
}

/** For routes without parameters or query. */
export const nothing = z.strictObject({});
/** For routes without a body. */
export const noBody = z.undefined();

/** The query field `limit` of a list: how many a page has at most. */
export const pageLimit = (usual = 20) =>
  z
    .string()
    .regex(/^(?:[1-9]|[1-9][0-9]|100)$/, 'expected a whole number from 1 to 100')
    .default(String(usual))
    .describe(`1 to 100, default ${usual}.`);

/** Parameters of the path that do not fit are 404: nothing is there. Query and body that do not fit are 400 with every problem. */
export function defineRoute<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType>(
  spec: Facts & {
    readonly params: P;
    readonly query: Q;
    readonly body: B;
    readonly handle: (call: Call<z.output<P>, z.output<Q>, z.output<B>>) => Promise<Answer>;
  },
): Route {
  return {
    ...spec,
    handle: async (call) => {
      const params = spec.params.safeParse(call.params);
      if (!params.success) throw notFound();
      return spec.handle({
        ...call,
        params: params.data,
        query: parseOrRefuse(spec.query, call.query, 'query'),
        body: parseOrRefuse(spec.body, spec.rawBody === true ? undefined : call.body, ''),
      });
    },
  };
}

/** The same for what never was, what has gone and what belongs to somebody else. */
export function notFound(): ProducerError {
  return new ProducerError('NOT_FOUND', 'There is nothing here for you.');
}

/** Fastify's own writing of the path. */
export function fastifyPath(path: string): string {
  return path.replace(/\{[a-z]+\*\}$/i, '*').replaceAll(/\{([a-z]+)\}/gi, ':$1');
}
