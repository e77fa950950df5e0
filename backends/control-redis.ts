/** `ControlChannel` over Redis pub/sub, on a connection of its own that is opened by the first listener. */
import type { ControlChannel, ControlMessage } from './backend.ts';
import { parseControl } from './control-message.ts';
import type { RedisClient } from './redis-client.ts';

/** Pub/sub ignores the database number, so the channel names it. */
export function redisControl(
  client: RedisClient,
  db: number,
  connect: () => RedisClient,
  onError: (error: Error) => void,
): ControlChannel & { close(): Promise<void> } {
  const channel = `jobfleet:${db}:control`;
  const listeners = new Set<(message: ControlMessage) => void>();
  let subscriber: RedisClient | undefined;
  let isClosed = false;
  /** Settles when this process hears the channel, or could not be made to. */
  let hearing: Promise<void> | undefined;
  const subscribe = () => {
    const opened = connect();
    opened.on('message', (_channel: string, text: string) => {
      const message = parseControl(text);
      if (message === undefined) return;
      for (const listener of listeners) listener(message);
    });
    hearing = new Promise<void>((resolve) => {
      opened.once('close', () => resolve());
      // At the first connection, and at each one after a lost one.
      opened.on('ready', () => {
        opened
          .subscribe(channel)
          .catch((error: Error) => {
            if (!isClosed) onError(error);
          })
          .finally(() => resolve());
      });
    });
    return opened;
  };
  return {
    async send(message) {
      await hearing;
      await client.publish(channel, JSON.stringify(message));
    },
    listen(listener) {
      listeners.add(listener);
      subscriber ??= subscribe();
      return () => {
        listeners.delete(listener);
      };
    },
    close() {
      isClosed = true;
      subscriber?.disconnect();
      return Promise.resolve();
    },
  };
}
