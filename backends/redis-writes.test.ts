import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { gatherWrites } from './redis-writes.ts';

/** A stream that notes what left together. */
function openStream() {
  const left: string[][] = [];
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      left.push([String(chunk)]);
      done();
    },
    writev(chunks, done) {
      left.push(chunks.map(({ chunk }) => String(chunk)));
      done();
    },
  });
  gatherWrites(stream);
  return { stream, left };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('commands of one turn', () => {
  it('leave together and in order, from promises that settle in it too', async () => {
    const { stream, left } = openStream();
    stream.write('a');
    void Promise.resolve().then(() => stream.write('b'));
    expect(left).toEqual([]);
    await turn();
    expect(left).toEqual([['a', 'b']]);
    await Promise.resolve().then(() => {
      for (const one of ['c', 'd', 'e']) stream.write(one);
    });
    await turn();
    expect(left).toEqual([
      ['a', 'b'],
      ['c', 'd', 'e'],
    ]);
  });

  it('leave sooner where they are many', async () => {
    const { stream, left } = openStream();
    for (let index = 0; index < 40; index += 1) stream.write(String(index));
    expect(left.map(({ length }) => length)).toEqual([16, 16]);
    await turn();
    expect(left.map(({ length }) => length)).toEqual([16, 16, 8]);
    expect(left.flat()).toEqual(Array.from({ length: 40 }, (_, index) => String(index)));
  });

  it('are not lost when the connection is closed in the same turn', async () => {
    const { stream, left } = openStream();
    stream.write('a');
    stream.write('b');
    stream.end();
    await once(stream, 'finish');
    expect(left).toEqual([['a', 'b']]);
  });

  it('are refused by a socket whose other side has ended, as without us', async () => {
    const server = createServer((near) => near.end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    gatherWrites(socket);
    await once(socket.resume(), 'end');
    socket.write('a');
    await expect(once(socket, 'close')).rejects.toMatchObject({ code: 'EPIPE' });
    server.close();
  });
});
