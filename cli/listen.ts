/** Opens a port, or says in one sentence why not. */
import type { FastifyInstance } from 'fastify';
import { CliError } from './output.ts';

/** Answers the address. A taken port is a `CliError`. */
export async function listen(app: Pick<FastifyInstance, 'listen'>, host: string, port: number): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    if (!isTaken(error)) throw error;
    throw new CliError(`Port ${port} on ${host} is taken; set PORT to a free one (0 takes any).`, 2, { cause: error });
  }
}

/** The first free port from `first` on. */
export async function listenFrom(
  app: Pick<FastifyInstance, 'listen'>,
  host: string,
  first: number,
  tries: number,
): Promise<{ readonly url: string; readonly port: number }> {
  for (let port = first; port < first + tries; port += 1) {
    try {
      return { url: await app.listen({ host, port }), port };
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
  }
  throw new CliError(`Ports ${first} to ${first + tries - 1} on ${host} are all taken; set PORT to a free one.`, 2);
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}
