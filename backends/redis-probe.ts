/** What a port answers to somebody who only looks, to choose the words of an error: no certificate is verified, nothing is sent but PING. */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { RedisNodeAddress } from './redis-url.ts';

const patienceMs = 2_000;

/** The reason why a connection with (`tls`) or without TLS cannot work; undefined when none is seen. */
export async function probePort(node: RedisNodeAddress, tls: boolean): Promise<Error | undefined> {
  if (tls) {
    const plain = await answer(connectPlain(node), 'data', 'PING\r\n');
    if (plain === 'answered') return new Error('speaks no TLS');
    return plain === 'silent' ? undefined : plain;
  }
  const secure = await answer(connectTls({ ...node, rejectUnauthorized: false }), 'secureConnect');
  return secure === 'answered' ? new Error('speaks TLS only') : await refusal(node);
}

/** The system's own error when nobody listens. */
async function refusal(node: RedisNodeAddress): Promise<Error | undefined> {
  const seen = await answer(connectPlain(node), 'connect');
  return typeof seen === 'string' ? undefined : seen;
}

function answer(socket: Socket, event: string, text = ''): Promise<Error | 'answered' | 'silent'> {
  return new Promise((resolve) => {
    const end = (result: Error | 'answered' | 'silent') => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(patienceMs, () => end('silent'));
    socket.once('error', end);
    socket.once('close', () => end('silent'));
    socket.once(event, () => end('answered'));
    if (text !== '') socket.once('connect', () => socket.write(text));
  });
}
