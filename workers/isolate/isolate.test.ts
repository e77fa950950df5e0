/** The pure rules of the killable child: its language, what is believed, what is over a limit, who belongs to it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { giveUp, JobError, retry, tryAgainIn } from '../../jobs/errors.ts';
import { defaultPolicy } from '../../jobs/policy.ts';
import { errorOf } from './endings.ts';
import { type Group, membersOf } from './group.ts';
import { commandLine, dataBytes, heapMb, type Place } from './limits.ts';
import { type ProcessFacts, parseStat } from './processes.ts';
import {
  believeError,
  createLineReader,
  describeError,
  lineLimitBytes,
  ProtocolError,
  parseLine,
  restoreError,
  upward,
} from './protocol.ts';
import { backoffMs } from './shelf.ts';
import { randomUserId } from './user-ids.ts';
import { excessOf } from './watch.ts';

describe('lines', () => {
  it('come out as they went in, however the bytes are cut', () => {
    const line = fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => !text.includes('\n'));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(200), { maxLength: 8 }), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((it) => `${it}\n`).join(''));
        const read = createLineReader(1_024);
        const ends = [...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
        const got = ends.flatMap((end, index) => [...read(bytes.subarray(index === 0 ? 0 : ends[index - 1], end))]);
        expect(got).toEqual(lines.map((it) => Buffer.from(it).toString()));
      }),
    );
  });

  it('are refused while they arrive, not when they end', () => {
    const read = createLineReader(10);
    expect([...read(Buffer.from('12345'))]).toEqual([]);
    expect([...read(Buffer.from('67890\nab'))]).toEqual(['1234567890']);
    expect(() => [...read(Buffer.from('cdefghijk'))]).toThrow(ProtocolError);
  });

  it.each(['', 'hello', '[]', '{"kind":"root"}', '{"kind":"call","id":-1,"call":{"name":"objectHead","key":"k"}}'])(
    'that are no message break the protocol: %s',
    (line) => {
      expect(() => parseLine(upward, line)).toThrow(ProtocolError);
    },
  );

  it('may leave the result out: a handler that returns nothing', () => {
    expect(parseLine(upward, '{"kind":"result"}')).toMatchObject({ kind: 'result' });
  });

  it('cut texts that are too long', () => {
    const parsed = parseLine(upward, JSON.stringify({ kind: 'progress', percent: 1, note: 'n'.repeat(9_000) }));
    expect(parsed).toEqual({ kind: 'progress', percent: 1, note: 'n'.repeat(500) });
  });
});

describe('an error of a child', () => {
  it('crosses the pipe with code, verdict and three causes', () => {
    const inner = new Error('deep', { cause: new Error('deeper', { cause: new Error('deepest') }) });
    const sent = parseLine(
      upward,
      JSON.stringify({ kind: 'error', error: describeError(giveUp('BAD_SOURCE', 'bad', { cause: inner })) }),
    );
    if (sent.kind !== 'error') throw new Error('expected an error');
    const error = believeError(sent.error, 1_000);
    expect(error).toMatchObject({ code: 'BAD_SOURCE', message: 'bad', verdict: { kind: 'dead' } });
    expect(error.cause).toMatchObject({ message: 'deep', cause: { message: 'deeper' } });
  });

  it.each([
    'SANDBOX_CRASH',
    'SANDBOX_ANYTHING',
    'CANCELLED',
    'EXPIRED',
    'TIMED_OUT',
    'INTERNAL',
    'SHUTDOWN',
    'no code',
    '',
  ])('may not carry the code %j', (code) => {
    const error = believeError(describeError(new JobError(code, 'x', { kind: 'dead' })), 1_000);
    expect(error).toMatchObject({ code: 'UNEXPECTED', verdict: { kind: 'retry', notBeforeMs: 0 } });
  });

  it('is believed by the child itself when the worker sends it', () => {
    expect(restoreError(describeError(giveUp('FORBIDDEN_TARGET', 'x')))).toMatchObject({ code: 'FORBIDDEN_TARGET' });
  });

  it('has its delay clamped', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double(), fc.integer()), (delayMs) => {
        const later = believeError(
          { code: 'HTTP_429', verdict: { kind: 'later', delayMs }, message: '', cause: undefined },
          5_000,
        );
        if (later.verdict.kind !== 'later') throw new Error('expected later');
        expect(later.verdict.delayMs).toBeGreaterThanOrEqual(0);
        expect(later.verdict.delayMs).toBeLessThanOrEqual(5_000);
      }),
    );
    const slow = believeError(describeError(retry('LOCKED', 'x', 9_000)), 5_000);
    expect(slow.verdict).toEqual({ kind: 'retry', notBeforeMs: 5_000 });
    expect(believeError(describeError(tryAgainIn(10, 'LOCKED', 'x')), 5_000).verdict).toEqual({
      kind: 'later',
      delayMs: 10,
    });
  });

  it('fits in a line, whatever was thrown', () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    for (const thrown of [undefined, null, 1n, Symbol('s'), circular, 'text', new Error('x'.repeat(1e6))]) {
      const line = JSON.stringify({ kind: 'error', error: describeError(thrown) });
      expect(Buffer.byteLength(line)).toBeLessThan(lineLimitBytes);
      expect(parseLine(upward, line).kind).toBe('error');
    }
  });
});

describe('an ending', () => {
  const exit = (exitCode: number | null, signal: NodeJS.Signals | null, output = ''): unknown =>
    errorOf({ kind: 'exit', exitCode, signal }, defaultPolicy, output);

  it.each([
    [exit(0, null), 'SANDBOX_CRASH'],
    [exit(null, 'SIGABRT'), 'SANDBOX_CRASH'],
    [exit(134, null, 'FATAL ERROR: Reached heap limit - JavaScript heap out of memory'), 'SANDBOX_OOM'],
    [exit(null, 'SIGXCPU'), 'SANDBOX_TIMEOUT'],
    [exit(152, null), 'SANDBOX_TIMEOUT'],
    [exit(153, null), 'LIMIT_EXCEEDED'],
    [errorOf({ kind: 'silent' }, defaultPolicy, ''), 'SANDBOX_TIMEOUT'],
    [errorOf({ kind: 'broke', sentence: 'x' }, defaultPolicy, ''), 'SANDBOX_CRASH'],
    [errorOf({ kind: 'excess', excess: { what: 'disk', sentence: 'x' } }, defaultPolicy, ''), 'LIMIT_EXCEEDED'],
    [
      errorOf(
        { kind: 'error', error: describeError(new RangeError('Array buffer allocation failed')) },
        defaultPolicy,
        '',
      ),
      'SANDBOX_OOM',
    ],
    [
      errorOf({ kind: 'error', error: describeError(new Error('EFBIG: file too large, write')) }, defaultPolicy, ''),
      'LIMIT_EXCEEDED',
    ],
  ])('%s has the code %s', (error, code) => {
    expect(error).toMatchObject({ code });
  });

  it('shows the last output', () => {
    expect(exit(1, null, 'cannot find module')).toMatchObject({
      message: expect.stringContaining('cannot find module'),
    });
    expect(exit(null, 'SIGKILL')).toMatchObject({ message: expect.stringContaining('out of memory?') });
  });

  it('knows a SIGKILL inside namespaces, of which unshare tells otherwise', () => {
    const said = 'unshare: sigprocmask unblock failed: Invalid argument\n';
    expect(exit(1, null, said)).toMatchObject({
      message: 'The child ended without an answer: SIGKILL (out of memory?).',
    });
  });
});

const facts = (own: Partial<ProcessFacts>): ProcessFacts => ({
  pid: 1,
  parent: 0,
  group: 1,
  session: 1,
  startTicks: 100,
  cpuSeconds: 0,
  residentBytes: 0,
  isDead: false,
  ...own,
});

describe('the group of a child', () => {
  const table = (...all: ProcessFacts[]): Map<number, ProcessFacts> => new Map(all.map((it) => [it.pid, it]));
  const group = (): Group => ({ pid: 10, startTicks: 100, marker: 'm', userId: undefined, seen: new Set() });

  it('is whoever shares its group, its session or its blood', () => {
    const members = membersOf(
      group(),
      table(
        facts({ pid: 1 }),
        facts({ pid: 13, parent: 12, group: 13, session: 13 }),
        facts({ pid: 10, parent: 1, group: 10, session: 10 }),
        facts({ pid: 11, parent: 1, group: 11, session: 10 }),
        facts({ pid: 12, parent: 10, group: 12, session: 12 }),
        facts({ pid: 14, parent: 1, group: 14, session: 14 }),
      ),
    );
    expect(members.map((it) => it.pid).toSorted((a, b) => a - b)).toEqual([10, 11, 12, 13]);
  });

  it('keeps who was seen once, and never takes a stranger who is older', () => {
    const own = group();
    membersOf(own, table(facts({ pid: 10 }), facts({ pid: 20, parent: 10, group: 20, session: 20 })));
    const later = membersOf(
      own,
      table(
        facts({ pid: 20, parent: 1, group: 20, session: 20 }),
        facts({ pid: 30, group: 10, session: 10, startTicks: 99 }),
      ),
    );
    expect(later.map((it) => it.pid)).toEqual([20]);
  });

  it('leaves zombies out', () => {
    expect(membersOf(group(), table(facts({ pid: 10, isDead: true })))).toEqual([]);
  });

  it('is over a limit as a whole', () => {
    const limits = { ...defaultPolicy.child, memoryMb: 100, processes: 2, cpuSeconds: 5 };
    const of = (residentMb: number, cpuSeconds = 0): ProcessFacts =>
      facts({ residentBytes: residentMb * 1_048_576, cpuSeconds });
    expect(excessOf([], limits)).toBeUndefined();
    expect(excessOf([of(60), of(40)], limits)).toBeUndefined();
    expect(excessOf([of(60), of(41)], limits)).toMatchObject({ what: 'memory' });
    expect(excessOf([of(1), of(1), of(1)], limits)).toMatchObject({ what: 'processes' });
    expect(excessOf([of(1, 4), of(1, 6)], limits)).toMatchObject({ what: 'cpu' });
  });
});

describe('what confines a child', () => {
  const place: Place = { folder: '/tmp/job-x', readable: ['/app'], userId: undefined, hasNetwork: false };
  const line = (level: 'bwrap' | 'limits' | 'namespaces' | 'none', own: Partial<Place> = {}): string =>
    commandLine(
      { level, hasOwnUser: false },
      defaultPolicy.child,
      { ...place, ...own },
      ['node', 'child.js'],
      '6.1.0',
    ).join(' ');

  it('is nothing at level none', () => {
    expect(line('none')).toBe('node child.js');
  });

  it('leaves the network to a type that is alone only as a suspect', () => {
    for (const level of ['bwrap', 'namespaces'] as const) {
      expect(line(level)).toMatch(/unshare -rn |--unshare-all --die/);
      expect(line(level, { hasNetwork: true })).toMatch(/unshare -r |--unshare-all --share-net /);
    }
  });

  it('never limits addresses, nor threads of the worker’s own user', () => {
    for (const level of ['bwrap', 'limits', 'namespaces'] as const) expect(line(level)).not.toContain('--as');
    expect(line('limits')).not.toContain('--nproc');
    expect(line('limits', { userId: 31_000 })).toContain('--nproc');
    expect(line('namespaces')).toMatch(/unshare --pid .* --nproc/u);
  });

  it('drops to the user id before anything else runs, and ends with its parent', () => {
    expect(line('limits', { userId: 31_000 })).toContain(
      '--reuid=31000 --regid=31000 --clear-groups --no-new-privs --pdeathsig=KILL node',
    );
    expect(line('namespaces')).toMatch(
      /unshare -rn --ipc setpriv --pdeathsig=KILL unshare --pid --fork --kill-child=KILL/u,
    );
    expect(line('bwrap')).toMatch(/--unshare-all --die-with-parent .*--bind \/tmp\/job-x \/tmp\/job-x/u);
  });

  it('leaves room between heap, memory and data', () => {
    const limits = { ...defaultPolicy.child, memoryMb: 512 };
    expect(heapMb(limits)).toBeLessThan(512);
    expect(dataBytes(limits)).toBeGreaterThan((512 + heapMb(limits) + 1_200) * 1_048_576);
  });
});

it('reads a process whose name is made to confuse', () => {
  const stat = `42 (a) R 1 (b) S 7 40 41 0 -1 4194304 101 0 0 0 250 50 0 0 20 0 1 0 217163 3133440 390 0`;
  expect(parseStat(stat, 4_096)).toEqual({
    pid: 42,
    parent: 7,
    group: 40,
    session: 41,
    startTicks: 217_163,
    cpuSeconds: 3,
    residentBytes: 390 * 4_096,
    isDead: false,
  });
  expect(parseStat('', 4_096)).toBeUndefined();
});

it('waits 0.5, 1, 2 … 30 s before the next try', () => {
  expect([1, 2, 3, 6, 7, 50].map(backoffMs)).toEqual([500, 1_000, 2_000, 16_000, 30_000, 30_000]);
});

it('never gives two children the same user id', () => {
  const taken = new Set(Array.from({ length: 29_999 }, (_, index) => 30_000 + index));
  expect(randomUserId(taken)).toBe(59_999);
});
