import { assert, nat, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFailure, signatureOf } from './signature.ts';

const sign = (reason: string) => signatureOf(readFailure(reason));

describe('the signature of a failure', () => {
  it.each([
    ['HTTP_503: upstream answered 503 after 1,204 ms', 'HTTP_503: upstream answered # after # ms'],
    ['BAD_SOURCE: "cat 1.png" is no image', 'BAD_SOURCE: … is no image'],
    ['NETWORK: connect ECONNREFUSED 10.0.0.7:8080', 'NETWORK: connect ECONNREFUSED #'],
    ["LOCKED: it's held by 'worker-7', don't wait", "LOCKED: it's held by …, don't wait"],
    ['UNEXPECTED: job email-sending_01JD3Z6V7Q8W9X0Y1Z2A3B4C5D is odd', 'UNEXPECTED: job # is odd'],
    ['UNEXPECTED: 6f1c9a52-3c55-4c6e-9c1d-1f2e3d4c5b6a vanished', 'UNEXPECTED: # vanished'],
    ['HTTP_404: https://a.example/x?y=1 is gone', 'HTTP_404: … is gone'],
    ['UNEXPECTED: no mailbox someone@example.com here', 'UNEXPECTED: no mailbox … here'],
    ['TIMED_OUT: first line\nsecond line 7', 'TIMED_OUT: first line'],
    ['EXPIRED', 'EXPIRED'],
    ['job stalled more than allowable limit', 'UNEXPECTED: job stalled more than allowable limit'],
    ['', 'UNEXPECTED'],
  ])('%s', (reason, expected) => {
    expect(sign(reason)).toBe(expected);
  });

  it('is the same whatever the numbers are', () => {
    assert(
      property(nat(), nat(), (a, b) => {
        expect(sign(`LIMIT_EXCEEDED: ${a} frames, allowed ${b}`)).toBe('LIMIT_EXCEEDED: # frames, allowed #');
      }),
    );
  });

  it.each(['a', '"', "'", '1', 'a1', 'a-', '@', '://', ' ', 'é'])('takes no time on 50 KB of %s', (piece) => {
    // The best of three: the process may have had to wait for a processor.
    const tookMs = [1, 2, 3].map(() => {
      const started = performance.now();
      sign(`UNEXPECTED: ${piece.repeat(50_000)}`);
      return performance.now() - started;
    });
    expect(Math.min(...tookMs)).toBeLessThan(50);
  });
});
