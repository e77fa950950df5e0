/** What a handler knows of the sink: one connection a process, one line a request. */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { EffectKind, EffectLine } from './logs.ts';

export interface Sink {
  /** `fence` undefined: as a writer that knows none. `claim` is written down in any case. */
  send(request: {
    readonly event: 'start' | 'open' | 'apply';
    readonly kind: EffectKind;
    readonly id: string;
    readonly key: string;
    readonly claim: number;
    readonly fence?: number;
  }): Promise<EffectLine['event']>;
  close(): void;
}

/** Rejects what is asked once the connection is gone: the sink outlives every fault, so that is a broken run. */
export function openSink(port: number): Sink {
  const socket = connect(port, '127.0.0.1');
  const waiting = new Map<number, { resolve: (event: EffectLine['event']) => void; reject: (error: Error) => void }>();
  let n = 0;
  const fail = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('The effect sink hung up.')));
  const lines = createInterface({ input: socket });
  // It repeats the errors of its input, which are dealt with above.
  lines.on('error', () => undefined);
  lines.on('line', (line) => {
    const said = JSON.parse(line) as { readonly n: number; readonly answer: EffectLine['event'] };
    waiting.get(said.n)?.resolve(said.answer);
    waiting.delete(said.n);
  });
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        n += 1;
        waiting.set(n, { resolve, reject });
        socket.write(`${JSON.stringify({ n, actor: process.pid, ...request })}\n`);
      }),
    close: () => socket.end(),
  };
}
