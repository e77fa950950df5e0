/** Reads what a child writes to stdout and stderr: always, so that it never blocks; the last of it is kept. */
import type { Readable } from 'node:stream';

export interface Output {
  /** The last 64 KB, as text. */
  last(): string;
  /** Stops reading at once: each further chunk of a flood would cost the worker's loop. */
  stop(): void;
}

const keptBytes = 64 * 1024;
const floodBytes = 8 * 1024 * 1024;

/** `onFlood` is called once, when more than 8 MB came in all; nothing is read after that. */
export function collectOutput(streams: readonly Readable[], onFlood: (sentence: string) => void): Output {
  let kept: Buffer[] = [];
  let heldBytes = 0;
  let totalBytes = 0;
  const stop = (): void => {
    for (const stream of streams) stream.destroy();
  };
  const take = (chunk: Buffer): void => {
    totalBytes += chunk.length;
    kept.push(chunk.length > keptBytes ? chunk.subarray(-keptBytes) : chunk);
    heldBytes += chunk.length;
    if (heldBytes > 2 * keptBytes) {
      kept = [Buffer.concat(kept).subarray(-keptBytes)];
      heldBytes = keptBytes;
    }
    if (totalBytes <= floodBytes) return;
    stop();
    onFlood(`The child wrote more than ${floodBytes / 1_048_576} MB to stdout and stderr.`);
  };
  for (const stream of streams) {
    stream.on('data', take);
    // A pipe that broke is the end of its process, which is noticed elsewhere.
    stream.on('error', () => undefined);
  }
  return {
    last: () => Buffer.concat(kept).subarray(-keptBytes).toString('utf8'),
    stop,
  };
}
