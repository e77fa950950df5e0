/** `ControlChannel` over LISTEN and NOTIFY, on a connection of its own that is opened by the first listener. */
import { setTimeout as wait } from 'node:timers/promises';
import { Client, type Pool } from 'pg';
import type { ControlChannel, ControlMessage } from './backend.ts';
import { parseControl } from './control-message.ts';
import { asError } from './unreachable.ts';

const channel = 'jobfleet_control';

/** Comes back by itself after a lost connection (0.1 to 2 s); messages sent meanwhile are lost, as the contract says. */
export function postgresControl(
  pool: Pool,
  url: string,
  onError: (error: Error) => void,
): ControlChannel & { close(): Promise<void> } {
  const listeners = new Set<(message: ControlMessage) => void>();
  const stopped = new AbortController();
  let listening: Promise<void> | undefined;
  /** Settles when this process hears the channel for the first time, or could not be made to. */
  let hearing: Promise<void> | undefined;
  const deliver = (text: string | undefined) => {
    const message = parseControl(text ?? '');
    if (message === undefined) return;
    for (const listener of listeners) listener(message);
  };
  return {
    async send(message) {
      await hearing;
      await pool.query('SELECT pg_notify($1, $2)', [channel, JSON.stringify(message)]);
    },
    listen(listener) {
      listeners.add(listener);
      hearing ??= new Promise((resolve) => {
        listening = stayConnected(url, { deliver, onTried: resolve }, stopped.signal, onError);
      });
      return () => {
        listeners.delete(listener);
      };
    },
    async close() {
      stopped.abort();
      await listening;
    },
  };
}

interface Ears {
  readonly deliver: (text: string | undefined) => void;
  /** Called after every try to listen, also one that failed. */
  readonly onTried: () => void;
}

async function stayConnected(
  url: string,
  { deliver, onTried }: Ears,
  signal: AbortSignal,
  onError: (error: Error) => void,
): Promise<void> {
  for (let failures = 0; !signal.aborted; failures += 1) {
    const client = new Client({
      connectionString: url,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
    client.on('notification', ({ payload }) => deliver(payload));
    // An error is followed by `end`, which the loop waits for.
    client.on('error', onError);
    try {
      await client.connect();
      await client.query(`LISTEN ${channel}`);
      failures = 0;
      onTried();
      await ended(client, signal);
    } catch (error) {
      onError(asError(error));
    }
    onTried();
    await client.end();
    if (!signal.aborted) await pause(Math.min(100 * 2 ** failures, 2_000), signal);
  }
}

function ended(client: Client, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    client.once('end', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}

/** Ends early, without complaint, when aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal }).catch(() => undefined);
}
