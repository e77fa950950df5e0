/** A store behind the proxy: every client passes it, the harness reaches the server itself. */
import { openProxy, type Proxy } from './proxy.ts';
import { type StoreName, type StoreServer, startServer } from './servers.ts';

export interface ProxiedServer extends StoreServer {
  readonly proxy: Proxy;
}

export async function proxiedServer(store: StoreName, folder: string): Promise<ProxiedServer> {
  const server = await startServer(store, folder);
  const { stock } = server;
  const target = stock.kind === 'redis' ? stock.port : Number(new URL(server.url).port);
  const proxy = await openProxy(target);
  const url = new URL(server.url);
  url.port = String(proxy.port);
  return {
    ...server,
    url: url.href,
    stock:
      stock.kind === 'redis'
        ? { kind: 'redis', host: '127.0.0.1', port: proxy.port }
        : { kind: 'postgres', url: url.href },
    proxy,
    async close() {
      await proxy.close();
      await server.close();
    },
  };
}

export function proxyOf(server: StoreServer): Proxy {
  if ('proxy' in server) return (server as ProxiedServer).proxy;
  throw new Error('this store has no proxy');
}
