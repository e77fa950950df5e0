/** Opens a port, or says in one sentence why not. */
import type { FastifyInstance } from 'fastify';
import { CliError } from './output.ts';

type Listens = Pick<FastifyInstance, 'listen'>;

const unknownName = (host: string): string =>
  `HOST=${host} is a name nobody knows; 0.0.0.0 is all addresses, 127.0.0.1 this machine.`;

const reasons: Readonly<Record<string, (host: string, port: number) => string>> = {
  EADDRINUSE: (host, port) => `Port ${port} on ${host} is taken; set PORT to a free one (0 takes any).`,
  EACCES: (_host, port) => `Port ${port} may not be opened by this user; set PORT to one above 1023.`,
  EADDRNOTAVAIL: (host) =>
    `HOST=${host} is no address of this machine; 0.0.0.0 is all of them, 127.0.0.1 this machine.`,
  ENOTFOUND: unknownName,
  EAI_AGAIN: unknownName,
};

/** What `open` answers, which listens there. A port that cannot be had is a `CliError`. */
export async function listening<T>(host: string, port: number, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    const reason = reasons[codeOf(error)];
    if (reason === undefined) throw error;
    throw new CliError(reason(host, port), 2, { cause: error });
  }
}

/** Answers the address. */
export async function listen(app: Listens, host: string, port: number): Promise<string> {
  return listening(host, port, () => app.listen({ host, port }));
}

/** The first free port from `first` on. */
export async function listenFrom(
  app: Listens,
  host: string,
  first: number,
  tries: number,
): Promise<{ readonly url: string; readonly port: number }> {
  for (let port = first; port < first + tries; port += 1) {
    try {
      return { url: await listening(host, port, () => app.listen({ host, port })), port };
    } catch (error) {
      if (codeOf(error instanceof CliError ? error.cause : error) !== 'EADDRINUSE') throw error;
    }
  }
  throw new CliError(`Ports ${first} to ${first + tries - 1} on ${host} are all taken; set PORT to a free one.`, 2);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
