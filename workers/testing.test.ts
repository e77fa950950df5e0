import { existsSync, writeFileSync } from 'node:fs';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineHandler, defineJob, inputFile } from '../jobs/define.ts';
import { giveUp, tryAgainIn } from '../jobs/errors.ts';
import { runJob } from './testing.ts';
import { memoryRecords } from './testing-records.ts';

const copying = defineJob({
  name: 'copying',
  summary: 'Copies a file.',
  payload: z.strictObject({ source: inputFile(), mode: z.string().default('plain') }),
  result: z.object({ object: z.string(), sizeBytes: z.number() }),
});

const seen: string[] = [];
const handler = defineHandler(copying, {
  run: async ({ source, mode }, ctx) => {
    const input = await ctx.objects.fetch(source, { maxBytes: 1_000 });
    seen.push(ctx.folder);
    ctx.progress(40);
    ctx.log('copying for a@example.com', { mode });
    await ctx.enqueue(copying, { source }, { key: 'again' });
    const path = join(ctx.folder, 'out');
    if (mode === 'link') await symlink('/etc/hostname', path);
    else await writeFile(path, await readFile(input.path));
    return ctx.objects.put('copies/one.bin', path, 'application/octet-stream');
  },
});
const inputs = { 'a.bin': Buffer.from('hello') };

describe('runJob', () => {
  it('runs one attempt with the real context and returns all it left behind', async () => {
    await using run = await runJob(handler, { source: 'object:t/-/a.bin' }, { inputs });
    expect(run.outcome).toEqual({ state: 'done' });
    expect(run.result).toEqual({ object: 'object:t/-/copies/one.bin', sizeBytes: 5 });
    expect(run.progress).toEqual([40]);
    expect(run.logs).toHaveLength(1);
    expect(run.logs[0]).not.toContain('a@example.com');
    expect(run.enqueued).toEqual([
      { type: 'copying', payload: { source: 'object:t/-/a.bin' }, key: 'copying_TEST/again' },
    ]);
    expect((await run.objects.head('t/-/copies/one.bin'))?.sizeBytes).toBe(5);
    expect(existsSync(seen.at(-1) ?? '')).toBe(false);
  });

  it('refuses two jobs under one key of one attempt: one of them would be lost', async () => {
    const twice = defineHandler(copying, {
      async run({ source }, { enqueue }) {
        await enqueue(copying, { source }, { key: 'again' });
        await enqueue(copying, { source }, { key: 'again' });
        await enqueue(copying, { source: `${source}.b` }, { key: 'again' });
        return { object: '', sizeBytes: 0 };
      },
    });
    await using run = await runJob(twice, { source: 'object:t/-/a.bin' }, { inputs });
    expect(run.outcome).toEqual({ state: 'dead', code: 'PAYLOAD_INVALID' });
    expect(run.error?.message).toContain('the key "again" was used for another job');
  });

  it('refuses an object of another tenant', async () => {
    await using run = await runJob(handler, { source: 'object:t/-/a.bin' }, { inputs, tenant: 'acme' });
    expect(run.outcome).toEqual({ state: 'dead', code: 'FORBIDDEN_TARGET' });
  });

  it('refuses a bucket nobody allowed and a private address', async () => {
    await using bucket = await runJob(handler, { source: 's3://theirs/a.bin' });
    expect(bucket.outcome).toEqual({ state: 'dead', code: 'FORBIDDEN_TARGET' });
    await using address = await runJob(handler, { source: 'https://127.0.0.1/a.bin' });
    expect(address.outcome).toEqual({ state: 'dead', code: 'FORBIDDEN_TARGET' });
  });

  it('refuses a symbolic link as an output', async () => {
    await using run = await runJob(handler, { source: 'object:t/-/a.bin', mode: 'link' }, { inputs });
    expect(run.outcome).toEqual({ state: 'dead', code: 'FORBIDDEN_TARGET' });
  });

  it('gives up on inputs that are absent, empty or too large', async () => {
    await using absent = await runJob(handler, { source: 'object:t/-/b.bin' });
    expect(absent.outcome).toEqual({ state: 'dead', code: 'BAD_SOURCE' });
    await using empty = await runJob(
      handler,
      { source: 'object:t/-/a.bin' },
      { inputs: { 'a.bin': new Uint8Array() } },
    );
    expect(empty.outcome).toEqual({ state: 'dead', code: 'BAD_SOURCE' });
    await using large = await runJob(
      handler,
      { source: 'object:t/-/a.bin' },
      { inputs: { 'a.bin': Buffer.alloc(1_001) } },
    );
    expect(large.outcome).toEqual({ state: 'dead', code: 'LIMIT_EXCEEDED' });
  });

  it('dead-letters a payload that does not parse', async () => {
    await using run = await runJob(handler, { sauce: 'object:t/-/a.bin' });
    expect(run.outcome).toEqual({ state: 'dead', code: 'PAYLOAD_INVALID' });
  });
});

const plain = defineJob({ name: 'plain', summary: 'Does as told.', payload: z.unknown(), result: z.unknown() });

describe('an attempt under runJob', () => {
  it('replays an effect that has happened and does not run it twice', async () => {
    const records = memoryRecords();
    let effects = 0;
    const once = defineHandler(plain, {
      run: async (_payload, ctx) => {
        const id = await ctx.once('mail', async () => {
          effects += 1;
          return `mail-${effects}`;
        });
        if (ctx.attempt === 1) throw new Error('after the effect');
        return { id };
      },
    });
    await using first = await runJob(once, {}, { records });
    expect(first.outcome.state).toBe('retry');
    await using second = await runJob(once, {}, { records, attempt: 2 });
    expect(second.result).toEqual({ id: 'mail-1' });
    expect(effects).toBe(1);
  });

  it('tells an unknown effect apart: skip answers undefined, repeat runs it again', async () => {
    for (const [whenUnknown, expected] of [
      ['skip', 1],
      ['repeat', 2],
    ] as const) {
      const records = memoryRecords();
      let begun = 0;
      const dying = defineHandler(plain, {
        run: (_payload, ctx) =>
          ctx.once(
            'push',
            async () => {
              begun += 1;
              if (begun === 1) throw new Error('nobody knows');
              return 'sent';
            },
            whenUnknown,
          ),
      });
      await using _first = await runJob(dying, {}, { records });
      await using second = await runJob(dying, {}, { records, attempt: 2 });
      expect(second.outcome).toEqual({ state: 'done' });
      expect(begun).toBe(expected);
    }
  });

  it('waits without spending an attempt, gives up at once, and wraps what is no Error', async () => {
    const throwing = defineHandler(plain, {
      run: async (payload) => {
        if (payload === 'later') throw tryAgainIn(700, 'HTTP_429', 'slow down');
        if (payload === 'dead') throw giveUp('BAD_SOURCE', 'broken');
        // oxlint-disable-next-line typescript/only-throw-error -- a handler may throw anything
        throw undefined;
      },
    });
    await using later = await runJob(throwing, 'later');
    expect(later.outcome).toEqual({ state: 'later', delayMs: 700, code: 'HTTP_429' });
    await using dead = await runJob(throwing, 'dead');
    expect(dead.outcome).toEqual({ state: 'dead', code: 'BAD_SOURCE' });
    await using nothing = await runJob(throwing, 'nothing', { attempt: 4 });
    expect(nothing.outcome).toEqual({ state: 'dead', code: 'UNEXPECTED' });
  });

  it('tells the handler why it must stop, and refuses its late result', async () => {
    const waiting = defineHandler(plain, {
      run: (_payload, ctx) =>
        new Promise((resolve) => ctx.signal.addEventListener('abort', () => resolve(String(ctx.signal.reason.code)))),
    });
    await using cancelled = await runJob(waiting, {}, { onStart: (running) => running.abort('CANCELLED', 1_000) });
    expect(cancelled.outcome).toEqual({ state: 'cancelled' });
    expect(cancelled.result).toBeUndefined();
    await using stopped = await runJob(waiting, {}, { onStart: (running) => running.abort('SHUTDOWN', 1_000) });
    expect(stopped.outcome).toEqual({ state: 'done' });
    expect(stopped.result).toBe('SHUTDOWN');
  });

  it('leaves a handler that ignores its time limit and refuses what it asks for afterwards', async () => {
    const quick = { ...plain, policy: { ...plain.policy, timeoutMs: 20 } };
    let late: Promise<unknown> | undefined;
    const deaf = defineHandler(quick, {
      run: (_payload, ctx) =>
        new Promise((resolve) => {
          writeFileSync(join(ctx.folder, 'x'), 'x');
          late = new Promise((done) => {
            setTimeout(() => {
              ctx.once('mail', async () => 'sent').then(done, done);
              resolve('late');
            }, 1_300);
          });
        }),
    });
    await using run = await runJob(deaf, {});
    expect(run.outcome).toMatchObject({ state: 'retry', code: 'TIMED_OUT' });
    expect(await late).toMatchObject({ code: 'LOCKED' });
  });
});
