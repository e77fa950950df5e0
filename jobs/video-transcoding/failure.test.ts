import { describe, expect, it } from 'vitest';
import { decide } from '../../workers/decide.ts';
import { failureOf, lastWords } from './failure.ts';

const verdict = (stderr: string, signal: NodeJS.Signals | null = null, code: number | null = 1): string => {
  const limits = { attempts: 4, backoff: { baseMs: 1, maxMs: 1 } };
  const outcome = decide(failureOf('ffmpeg', { code, signal, stderr }), 1, limits);
  return 'code' in outcome ? `${outcome.state} ${outcome.code}` : outcome.state;
};

describe('failureOf', () => {
  it.each([
    ['[mov @ 0x1] moov atom not found\nfile:/a b: Invalid data found when processing input', 'dead BAD_SOURCE'],
    ["[concat @ 0x1] Format not on whitelist 'mov'", 'dead BAD_SOURCE'],
    ['Decoder (codec none) not found for input stream #0:0', 'dead BAD_SOURCE'],
    ['[h264 @ 0x1] Picture size 8000x6000 exceeds specified max pixel count 40000000', 'dead LIMIT_EXCEEDED'],
    ['Number of streams exceeds max_streams parameter (32)', 'dead LIMIT_EXCEEDED'],
    ['Cannot determine format of input stream 0:0 after EOF\nError marking filters as finished', 'dead BAD_SOURCE'],
    ['file:/x: Not yet implemented in FFmpeg, patches welcome', 'dead BAD_SOURCE'],
    ['av_interleaved_write_frame(): No space left on device', 'retry NO_SPACE'],
    ['file:/x: Input/output error', 'retry UNEXPECTED'],
    ['Cannot allocate memory', 'retry UNEXPECTED'],
    ['something new', 'retry UNEXPECTED'],
  ])('takes "%s" for %s', (stderr, expected) => {
    expect(verdict(stderr)).toBe(expected);
  });

  it('retries what a signal ended, whatever was said before', () => {
    expect(verdict('Invalid data found when processing input', 'SIGKILL', null)).toBe('retry UNEXPECTED');
    expect(verdict('', 'SIGXFSZ', null)).toBe('dead LIMIT_EXCEEDED');
  });

  it('takes too many broken frames for a bad source', () => {
    expect(verdict('', null, 69)).toBe('dead BAD_SOURCE');
  });
});

describe('lastWords', () => {
  it('leaves words with a slash alone', () => {
    expect(lastWords('file:/tmp/a/in.bin: Input/output error')).toBe('the file: Input/output error');
  });

  it('names the cause, not a path of this machine, and is short', () => {
    const said = lastWords(
      `[mov @ 0x55] moov atom not found\nfile:/tmp/secret/in: Invalid data found\n${'x'.repeat(9_000)}`,
    );
    expect(said).toBe('moov atom not found');
    expect(lastWords('file:/tmp/secret/in: Is a directory')).toBe('the file: Is a directory');
    expect(lastWords('y'.repeat(9_000))).toHaveLength(300);
  });
});
