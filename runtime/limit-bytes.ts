/** Counts what flows through and stops it over a limit. */
import { Transform } from 'node:stream';
import { ObjectTooLargeError } from './object-store.ts';

/** Passes at most `maxBytes`; one more and the stream fails with `ObjectTooLargeError`. */
export function limitBytes(maxBytes: number): Transform {
  let seenBytes = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      seenBytes += chunk.byteLength;
      if (seenBytes > maxBytes) done(new ObjectTooLargeError(`expected at most ${maxBytes} bytes, got more`));
      else done(null, chunk);
    },
  });
}
