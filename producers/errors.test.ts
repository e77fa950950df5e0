import { describe, expect, it } from 'vitest';
import { asRefusal, LimitedError } from './errors.ts';

describe('what a full store says', () => {
  it('is a refusal that may be tried again', () => {
    const refusal = asRefusal(new Error("OOM command not allowed when used memory > 'maxmemory'."));
    expect(refusal).toBeInstanceOf(LimitedError);
    expect(refusal).toMatchObject({ code: 'LIMITED', status: 503, retryAfterMs: 5_000 });
  });

  it('leaves other errors as they are', () => {
    const error = new Error('Connection is closed.');
    expect(asRefusal(error)).toBe(error);
    expect(asRefusal('OOM command not allowed')).toBe('OOM command not allowed');
  });
});
