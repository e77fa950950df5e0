/**
 * A TCP proxy that breaks connections the way networks do. Clients connect to `port`; what the present mode is decides
 * what happens to bytes and to new connections.
 *
 *   pass     as if it were not there
 *   stall    nothing passes; what was sent arrives when the mode ends, as TCP repeats lost packets
 *   silence  as if the other end had lost its state: every connection that speaks now, old or new, is dead for good and
 *            is not told (half-open)
 *   reset    every connection is reset, new ones too
 *   delay    each chunk waits `delayMs`
 *   cut      after `cutAfter` bytes towards the client the connection is reset in mid-answer
 */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export type ProxyMode =
  | { readonly kind: 'pass' | 'stall' | 'silence' | 'reset' }
  | { readonly kind: 'delay'; readonly delayMs: number }
  | { readonly kind: 'cut'; readonly cutAfter: number };

export interface Proxy {
  readonly port: number;
  /** Holds for connections that are open and for new ones. */
  set(mode: ProxyMode): void;
  /** Only the connections of which `belongs` is true of their first bytes; others pass. Default: all. */
  only(belongs: (firstBytes: string) => boolean): void;
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  firstBytes: string;
  sent: number;
  isDead: boolean;
  readonly held: { readonly to: Socket; readonly chunk: Buffer }[];
}

const sniffed = 200;

export async function openProxy(target: number): Promise<Proxy> {
  let mode: ProxyMode = { kind: 'pass' };
  let belongs: (firstBytes: string) => boolean = () => true;
  const pairs = new Set<Pair>();
  const reset = (pair: Pair) => {
    pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  };
  const struck = (pair: Pair): ProxyMode => (belongs(pair.firstBytes) ? mode : { kind: 'pass' });
  const forward = (pair: Pair, to: Socket, chunk: Buffer) => {
    const now = struck(pair);
    if (pair.isDead) return;
    switch (now.kind) {
      case 'stall':
        pair.held.push({ to, chunk });
        return;
      case 'silence':
        pair.isDead = true;
        return;
      case 'reset':
        return reset(pair);
      case 'delay':
        setTimeout(() => to.writable && to.write(chunk), now.delayMs);
        return;
      case 'cut':
        if (to === pair.client) pair.sent += chunk.length;
        if (pair.sent > now.cutAfter) return reset(pair);
        to.write(chunk);
        return;
      case 'pass':
        if (to.writable) to.write(chunk);
    }
  };
  const listener: Server = createServer((client) => {
    const pair: Pair = {
      client,
      server: connect(target, '127.0.0.1'),
      firstBytes: '',
      sent: 0,
      isDead: false,
      held: [],
    };
    pairs.add(pair);
    client.on('data', (chunk) => {
      if (pair.firstBytes.length < sniffed) pair.firstBytes += chunk.toString('latin1').slice(0, sniffed);
      forward(pair, pair.server, chunk);
    });
    pair.server.on('data', (chunk) => forward(pair, client, chunk));
    for (const [from, to] of [
      [client, pair.server],
      [pair.server, client],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', () => {
        pairs.delete(pair);
        // A lost network tells the other end nothing.
        if (!pair.isDead) to.destroy();
      });
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    port: address.port,
    set(next) {
      mode = next;
      for (const pair of pairs) for (const { to, chunk } of pair.held.splice(0)) forward(pair, to, chunk);
      if (next.kind === 'reset') for (const pair of pairs) if (belongs(pair.firstBytes)) reset(pair);
    },
    only(next) {
      belongs = next;
    },
    async close() {
      for (const pair of pairs) reset(pair);
      listener.close();
      await once(listener, 'close');
    },
  };
}
