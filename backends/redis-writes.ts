/**
 * Commands of one turn of the event loop leave in one write. ioredis writes each by itself: a system call for each, and
 * a Redis that wakes up for each. No timer, and no other order: what was written leaves when the code that is running
 * has run, before the loop waits for anything. The bound lets Redis begin while later commands are still being made.
 */
import type { Writable } from 'node:stream';
import { type Cluster, Redis } from 'ioredis';

/** Then they leave before the turn ends. */
const most = 16;

/** On every connection that `client` opens from now on; of a Cluster, on those to its nodes. Answers `client`. */
export function writeTogether<C extends Cluster | Redis>(client: C): C {
  if (client instanceof Redis) client.on('connect', () => gatherWrites(client.stream));
  else client.on('+node', (node: Redis) => void writeTogether(node));
  return client;
}

/** Writes of one turn become one of the stream; each keeps its own callback. */
export function gatherWrites(stream: Writable): void {
  const write = stream.write.bind(stream);
  let held = 0;
  let isTurnWatched = false;
  const leave = (): void => {
    held = 0;
    stream.uncork();
  };
  const endTurn = (): void => {
    isTurnWatched = false;
    if (held > 0) leave();
  };
  const hold = (...args: Parameters<typeof write>): boolean => {
    if (held === 0) stream.cork();
    if (!isTurnWatched) process.nextTick(endTurn);
    isTurnWatched = true;
    held += 1;
    const isRoom = write(...args);
    if (held === most) leave();
    return isRoom;
  };
  // Node itself puts another in its place when the other side has ended the connection.
  Object.defineProperty(stream, 'write', { value: hold, configurable: true, writable: true });
}
