/** Counts what flows through and stops it over a limit. */
import { ObjectTooLargeError } from './object-store.ts';

/**
 * A step of a pipeline that passes at most `maxBytes`; one more and it fails with `ObjectTooLargeError`. `onBytes` hears
 * the total so far.
 */
export function limitBytes(
  maxBytes: number,
  onBytes?: (seenBytes: number) => void,
): (source: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array> {
  return async function* limited(source) {
    let seenBytes = 0;
    for await (const chunk of source) {
      seenBytes += chunk.byteLength;
      if (seenBytes > maxBytes) throw new ObjectTooLargeError(`expected at most ${maxBytes} bytes, got more`);
      onBytes?.(seenBytes);
      yield chunk;
    }
  };
}
