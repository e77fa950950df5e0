/**
 * How the commands reach a server: flag > environment (JOBFLEET_URL, JOBFLEET_KEY) > DATA_DIR/client.json, which
 * `jobfleet up` writes on this machine.
 */
import { z } from 'zod';
import { bearer } from '../producers/bearer.ts';
import { parseEnv } from '../runtime/env.ts';
import { remoteEnv } from './env.ts';
import { clientFile, readClientFile } from './local-state.ts';
import { CliError } from './output.ts';

export interface ServerFlags {
  readonly url?: string;
  readonly key?: string;
}

export interface Connection {
  readonly url: string;
  /** Throws `CliError` with the server's own sentence for every answer that is not 2xx. */
  readonly call: <S extends z.ZodType>(
    answer: S,
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<z.output<S>>;
  /** A GET whose body is read as it comes. Throws like `call`, but for 429 and 503, which pass. */
  readonly open: (path: string, headers: Record<string, string>) => Promise<Response>;
}

const problem = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  code: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

export async function connect(flags: ServerFlags, env: NodeJS.ProcessEnv = process.env): Promise<Connection> {
  const { DATA_DIR, JOBFLEET_KEY, JOBFLEET_URL } = parseEnv(remoteEnv, env);
  const local = await readClientFile(DATA_DIR);
  const url = flags.url ?? JOBFLEET_URL ?? local?.url;
  const keys = [
    { key: flags.key, keyFrom: '--key' },
    { key: JOBFLEET_KEY, keyFrom: 'JOBFLEET_KEY' },
    { key: local?.key, keyFrom: clientFile(DATA_DIR) },
  ];
  const { key, keyFrom = '' } = keys.find((one) => one.key !== undefined) ?? {};
  if (url === undefined) {
    throw new CliError(
      `No server is known here: there is no ${clientFile(DATA_DIR)}. Start one with \`jobfleet up\`, call this in the folder where one was started, or set JOBFLEET_URL and JOBFLEET_KEY.`,
      2,
    );
  }
  if (key === undefined) throw new CliError(`No key is known for ${url}: set JOBFLEET_KEY or give --key.`, 2);
  const server = { url, key, keyFrom };
  return {
    url,
    call: (answer, method, path, body, headers) => call(server, answer, method, path, body, headers),
    open: (path, headers) => openStream(server, path, headers),
  };
}

async function call<S extends z.ZodType>(
  server: Server,
  answer: S,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<z.output<S>> {
  const response = await send(server, path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new CliError(refusal(server, response.status, text));
  return answer.parse(text === '' ? undefined : JSON.parse(text));
}

/** Refusals that pass by themselves are the caller's. */
async function openStream(server: Server, path: string, headers: Record<string, string>): Promise<Response> {
  const response = await send(server, path, { method: 'GET', headers });
  if (response.ok || response.status === 429 || response.status === 503) return response;
  throw new CliError(refusal(server, response.status, await response.text()));
}

interface Server {
  readonly url: string;
  readonly key: string;
  /** Who said that key. */
  readonly keyFrom: string;
}

async function send(
  server: Server,
  path: string,
  request: { readonly method: string; readonly headers: Record<string, string>; readonly body?: string },
): Promise<Response> {
  const address = new URL(path, server.url);
  try {
    const headers = { authorization: bearer(server.key), ...request.headers };
    return await fetch(address, { ...request, headers });
  } catch (error) {
    throw new CliError(
      `${address.origin} does not answer (${reason(error)}). Is the server running? Start it with \`jobfleet up\`.`,
      1,
      { cause: error },
    );
  }
}

function reason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message;
  return error instanceof Error ? error.message : String(error);
}

function refusal({ url, keyFrom }: Server, status: number, text: string): string {
  let parsed: z.output<typeof problem>;
  try {
    parsed = problem.parse(JSON.parse(text));
  } catch {
    return `The server answered ${status}: ${text.slice(0, 200)}`;
  }
  const { code = status, detail = parsed.title ?? 'refused', errors = [] } = parsed;
  if (status === 401) return `${code}: ${url} does not know the key of ${keyFrom}.`;
  // The detail is the first of them already.
  const others = errors.filter(({ message }) => !detail.includes(message));
  return `${code}: ${detail}${others.map(({ path, message }) => `\n  ${path}: ${message}`).join('')}`;
}
