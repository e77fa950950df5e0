import { describe, expect, it } from 'vitest';
import { giveUp, retry } from '../jobs/errors.ts';
import { AttemptFailed, storedMessage } from './failure.ts';

describe('a failure as it is stored', () => {
  it('has its code first, is masked, and is cut to 1,000 characters', () => {
    const message = storedMessage(retry('HTTP_429', `ada@example.com ${'x '.repeat(5_000)}`));
    expect(message).toMatch(/^HTTP_429: /);
    expect(message).not.toContain('ada@example.com');
    expect(message).toHaveLength(1_000);
    expect(storedMessage(new TypeError('oops'))).toBe('UNEXPECTED: oops');
  });

  it('keeps at most 50 frames, the causes’ among them', () => {
    const cause = new Error('below ada@example.com');
    const failed = new AttemptFailed({
      outcome: { state: 'retry', delayMs: 70, code: 'NETWORK' },
      error: retry('NETWORK', 'above', 0, { cause }),
    });
    expect(failed.retryInMs).toBe(70);
    expect(failed.stack?.split('\n').length).toBeLessThanOrEqual(51);
    expect(failed.stack).toContain('caused by Error: below ');
    expect(failed.stack).not.toContain('ada@example.com');
  });

  it('tells BullMQ that a dead one has no further attempt', () => {
    const dead = new AttemptFailed({
      outcome: { state: 'dead', code: 'BAD_SOURCE' },
      error: giveUp('BAD_SOURCE', 'x'),
    });
    expect([dead.retryInMs, dead.name]).toEqual([-1, 'UnrecoverableError']);
  });
});
