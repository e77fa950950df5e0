/**
 * How the commands reach a server: flag > environment (JOBFLEET_URL, JOBFLEET_KEY) > DATA_DIR/client.json, which
 * `jobfleet up` writes on this machine.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { bearer } from '../producers/bearer.ts';
import { parseEnv } from '../runtime/env.ts';
import { remoteEnv } from './env.ts';
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

const clientFile = z.object({ url: z.url(), key: z.string() });

const problem = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  code: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

async function localServer(dataDir: string): Promise<z.output<typeof clientFile> | undefined> {
  try {
    return clientFile.parse(JSON.parse(await readFile(join(dataDir, 'client.json'), 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new CliError(
      `${join(dataDir, 'client.json')} cannot be read: ${String(error)}. Delete it and start the server again.`,
    );
  }
}

export async function connect(flags: ServerFlags, env: NodeJS.ProcessEnv = process.env): Promise<Connection> {
  const { DATA_DIR, JOBFLEET_KEY, JOBFLEET_URL } = parseEnv(remoteEnv, env);
  const local = await localServer(DATA_DIR);
  const url = flags.url ?? JOBFLEET_URL ?? local?.url;
  const key = flags.key ?? JOBFLEET_KEY ?? local?.key;
  if (url === undefined || key === undefined) {
    throw new CliError(
      'No server is known here. Start one with `jobfleet up`, or set JOBFLEET_URL and JOBFLEET_KEY.',
      2,
    );
  }
  return {
    url,
    call: (answer, method, path, body, headers) => call({ url, key }, answer, method, path, body, headers),
    open: (path, headers) => openStream({ url, key }, path, headers),
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
  if (!response.ok) throw new CliError(refusal(response.status, text));
  return answer.parse(text === '' ? undefined : JSON.parse(text));
}

/** Refusals that pass by themselves are the caller's. */
async function openStream(server: Server, path: string, headers: Record<string, string>): Promise<Response> {
  const response = await send(server, path, { method: 'GET', headers });
  if (response.ok || response.status === 429 || response.status === 503) return response;
  throw new CliError(refusal(response.status, await response.text()));
}

interface Server {
  readonly url: string;
  readonly key: string;
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
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return error instanceof Error ? error.message : String(error);
}

function refusal(status: number, text: string): string {
  let parsed: z.output<typeof problem>;
  try {
    parsed = problem.parse(JSON.parse(text));
  } catch {
    return `The server answered ${status}: ${text.slice(0, 200)}`;
  }
  const lines = (parsed.errors ?? []).map((error) => `\n  ${error.path}: ${error.message}`).join('');
  return `${parsed.code ?? status}: ${parsed.detail ?? parsed.title ?? 'refused'}${lines}`;
}
