/** One connection to the store's socket, and whether somebody stands behind it. */
import { Client } from 'pg';
import { codeOf, EmbeddedStoreError } from './errors.ts';
import { socketUrl } from './place.ts';

export type Reached =
  | { readonly state: 'connected'; readonly client: Client; readonly ended: Promise<void> }
  /** Nobody listens. */
  | { readonly state: 'absent' }
  /** A server that starts, stops or recovers. */
  | { readonly state: 'busy' };

/** A server that starts or stops says so at once; one that says nothing for this long is asked again. */
const connectTimeoutMs = 5_000;

const absent: readonly string[] = ['ENOENT', 'ECONNREFUSED', 'ENOTSOCK'];
/** Starting or stopping; shut down while we spoke; crashed while we spoke; out of connections. */
const busy: readonly string[] = ['57P03', '57P01', '57P02', '53300', 'ECONNRESET', 'EPIPE', 'EAGAIN'];

/** `ended` resolves when the connection ends, asked or not. Throws `EmbeddedStoreError` when the socket is somebody else's. */
export async function connect(socketDir: string, applicationName: string): Promise<Reached> {
  const client = new Client({
    connectionString: socketUrl(socketDir),
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: applicationName,
  });
  client.on('error', () => {
    // Every error of an open connection is followed by `end`, which is what the holder waits for.
  });
  const ended = new Promise<void>((resolve) => {
    client.once('end', resolve);
  });
  try {
    await client.connect();
    return { state: 'connected', client, ended };
  } catch (error) {
    const code = codeOf(error);
    if (code !== undefined && absent.includes(code)) return { state: 'absent' };
    // pg gives the sudden end of a connection, and its own time limit, no code.
    if (code === undefined || busy.includes(code)) return { state: 'busy' };
    throw new EmbeddedStoreError(
      `The socket of the embedded store in ${socketDir} cannot be used (${error instanceof Error ? error.message : code}): run as the user who owns it.`,
      { cause: error },
    );
  }
}
