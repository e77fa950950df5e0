import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openProxy, type Proxy } from './proxy.ts';

let server: Server;
let proxy: Proxy;
const clients: Socket[] = [];

/** Says every word back, in capitals. */
beforeEach(async () => {
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => socket.write(String(chunk).toUpperCase()));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  proxy = await openProxy(typeof address === 'object' && address !== null ? address.port : 0);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.close();
  server.close();
});

async function dial(): Promise<{
  readonly client: Socket;
  readonly heard: () => string;
  readonly error: () => string;
}> {
  const client = connect(proxy.port, '127.0.0.1');
  clients.push(client);
  let heard = '';
  let error = '';
  client.on('data', (chunk) => (heard += String(chunk)));
  client.on('error', (met) => {
    error = 'code' in met ? String(met.code) : met.message;
  });
  await once(client, 'connect');
  return { client, heard: () => heard, error: () => error };
}

describe('the fault proxy', () => {
  it('passes what is said, whole', async () => {
    const { client, heard } = await dial();
    client.write('hello');
    await expect.poll(heard).toBe('HELLO');
  });

  it('holds bytes back while it stalls and delivers them in order afterwards', async () => {
    const { client, heard } = await dial();
    proxy.set({ kind: 'stall' });
    client.write('one ');
    const second = await dial();
    second.client.write('other');
    proxy.set({ kind: 'delay', delayMs: 1 });
    client.write('two');
    await expect.poll(heard).toBe('ONE TWO');
    await expect.poll(second.heard).toBe('OTHER');
  });

  it('resets in a storm, and after so many bytes', async () => {
    const first = await dial();
    first.client.write('a');
    await expect.poll(first.heard).toBe('A');
    proxy.set({ kind: 'reset' });
    await expect.poll(first.error).toBe('ECONNRESET');
    proxy.set({ kind: 'cut', cutAfter: 3 });
    const second = await dial();
    second.client.write('abc');
    await expect.poll(second.heard).toBe('ABC');
    second.client.write('d');
    await expect.poll(second.error).toBe('ECONNRESET');
  });

  it('leaves a connection dead for good that spoke into the silence, and nobody else', async () => {
    const [spoke, quiet, spared] = [await dial(), await dial(), await dial()];
    spared.client.write('spare');
    await expect.poll(spared.heard).toBe('SPARE');
    proxy.only((firstBytes) => !firstBytes.startsWith('spare'));
    proxy.set({ kind: 'silence' });
    spoke.client.write('lost');
    spared.client.write('!');
    await expect.poll(spared.heard).toBe('SPARE!');
    proxy.set({ kind: 'pass' });
    spoke.client.write('lost too');
    quiet.client.write('found');
    await expect.poll(quiet.heard).toBe('FOUND');
    expect(spoke.heard()).toBe('');
    expect(spoke.error()).toBe('');
  });
});
