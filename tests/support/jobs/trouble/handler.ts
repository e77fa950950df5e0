import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { defineHandler, type JobContext } from '../../../../jobs/define.ts';
import { giveUp, tryAgainIn } from '../../../../jobs/errors.ts';
import job from './job.ts';

interface Facts {
  readonly text: string;
  readonly count: number;
}

const never = (): Promise<never> =>
  new Promise(() => {
    setInterval(() => undefined, 1_000);
  });
/** Runs a script in a Node of its own and does not wait for it. */
const node = (script: string, detached = false): void => {
  spawn(process.execPath, ['-e', script], { detached, stdio: 'ignore' });
};
const eatMemory = 'const kept = []; setInterval(() => kept.push(Buffer.alloc(8 * 1024 * 1024, 1)), 20);';

/** Pure work of a few milliseconds: what an innocent job does. */
function work(): unknown {
  let hash = Buffer.alloc(64 * 1024, 7);
  for (let round = 0; round < 50; round += 1) hash = Buffer.concat([hash, createHash('sha256').update(hash).digest()]);
  return { bytes: hash.length };
}

const ways: Readonly<Record<string, (facts: Facts, ctx: JobContext) => unknown>> = {
  work,
  echo: ({ text }) => ({ text }),
  facts: (_facts, ctx) => ({
    id: ctx.id,
    tenant: ctx.tenant,
    attempt: ctx.attempt,
    fence: ctx.fence,
    folder: ctx.folder,
    cwd: process.cwd(),
    variables: Object.keys(process.env).toSorted(),
    user: process.getuid?.(),
    files: readdirSync(ctx.folder),
  }),
  services: async ({ text }, ctx) => {
    ctx.log('started', { text });
    ctx.progress(50, 'half');
    const first = await ctx.once('mail', async () => ({ sent: text }));
    const input = await ctx.objects.fetch('object:t/-/in.txt', { maxBytes: 1_000 });
    writeFileSync(join(ctx.folder, 'out.txt'), readFileSync(input.path, 'utf8').toUpperCase());
    const stored = await ctx.objects.put('out.txt', join(ctx.folder, 'out.txt'), 'text/plain');
    const head = await ctx.objects.head('absent');
    const next = await ctx.enqueue(job, { how: 'work' }, { key: 'next' });
    return { first, stored, head: head ?? 'absent', next: next.id, children: await ctx.children() };
  },
  ask: async ({ text, count }, ctx) => {
    const body = text.repeat(count);
    const answer = await ctx.dependency('model', () =>
      ctx.http({ url: 'https://example.com/', method: 'POST', body, headers: { 'x-a': 'b' } }),
    );
    const { length } = answer.body;
    return { status: answer.status, length, retryAfterMs: answer.retryAfterMs, files: readdirSync(ctx.folder) };
  },
  'certainly-not': async (_facts, ctx) =>
    ctx.once('sms', async () => ctx.http({ url: 'https://example.com/', method: 'POST' }), 'skip'),
  'refused-call': async (_facts, ctx) => ctx.objects.fetch('https://127.0.0.1/', { maxBytes: 1_000 }),
  'many-calls': async ({ count }, ctx) => {
    await Promise.all(Array.from({ length: count }, (_, index) => ctx.objects.head(`key-${index}`)));
    ctx.progress(100, 'asked');
    return { count };
  },
  'give-up': () => {
    throw giveUp('BAD_SOURCE', 'not a picture', { cause: new Error('first bytes are 00 00') });
  },
  'much-later': () => {
    throw tryAgainIn(1e15, 'HTTP_429', 'come back in 30,000 years');
  },
  pretend: ({ text }) => {
    throw giveUp(text, 'a code that only the worker gives');
  },
  'heap-bomb': () => {
    const kept: number[][] = [];
    for (;;) kept.push(Array.from({ length: 100_000 }, (_, index) => index));
  },
  'buffer-bomb': async () => {
    const kept: Buffer[] = [];
    for (;;) {
      kept.push(Buffer.alloc(8 * 1024 * 1024, 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  },
  'grandchild-bomb': async () => {
    for (let index = 0; index < 4; index += 1) node(eatMemory);
    return never();
  },
  'fork-bomb': async () => {
    const script = `const { spawn } = require('node:child_process');
      setInterval(() => spawn(process.execPath, ['-e', process.argv[1], process.argv[1]], { stdio: 'ignore' }).on('error', () => {}), 50);`;
    for (let index = 0; index < 4; index += 1) {
      spawn(process.execPath, ['-e', script, script], { stdio: 'ignore' }).on('error', () => undefined);
    }
    return never();
  },
  'say-pid': async (_facts, ctx) => {
    ctx.progress(1, 'running');
    return never();
  },
  abort: () => process.abort(),
  'exit-0': () => process.exit(0),
  spin: (_facts, ctx) => {
    ctx.progress(1, 'running');
    for (;;);
  },
  'large-result': () => ({ text: 'x'.repeat(30 * 1024 * 1024) }),
  circular: () => {
    const result: Record<string, unknown> = {};
    result['self'] = result;
    return result;
  },
  'endless-message': async () => {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    for (;;) writeAll(3, chunk);
  },
  'endless-messages': async () => {
    const chunk = Buffer.from('{"kind":"progress","percent":1}\n'.repeat(1_000));
    for (;;) writeAll(3, chunk);
  },
  'second-answer': async () => {
    writeAll(3, Buffer.from('{"kind":"result","result":"first"}\n{"kind":"result","result":"second"}\n'));
    return 'third';
  },
  'no-json': async () => {
    writeAll(3, Buffer.from('hello\n'));
    return never();
  },
  'late-answer': async (_facts, ctx) => {
    await once(ctx.signal, 'abort');
    return { late: true };
  },
  'answer-when-told': async (_facts, ctx) => {
    ctx.progress(1, 'running');
    await once(ctx.signal, 'abort');
    return { late: true };
  },
  'stop-when-told': async (_facts, ctx) => {
    ctx.progress(1, 'running');
    await once(ctx.signal, 'abort');
    throw ctx.signal.reason;
  },
  'ignore-the-signal': async (_facts, ctx) => {
    ctx.progress(1, 'running');
    return never();
  },
  'stdout-flood': async () => {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    for (;;) writeAll(1, chunk);
  },
  'stderr-endless': async () => {
    const chunk = Buffer.alloc(64 * 1024, 'y');
    for (;;) writeAll(2, chunk);
  },
  'fill-disk': async (_facts, ctx) => {
    const chunk = Buffer.alloc(4 * 1024 * 1024, 'z');
    for (let index = 0; ; index += 1) {
      writeFileSync(join(ctx.folder, `part-${index}`), chunk);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  },
  'large-file': async (_facts, ctx) => {
    const chunk = Buffer.alloc(4 * 1024 * 1024, 'z');
    for (;;) writeFileSync(join(ctx.folder, 'one'), chunk, { flag: 'a' });
  },
  'many-files': async (_facts, ctx) => {
    for (let index = 0; ; index += 1) {
      if (index % 1_000 === 0) mkdirSync(join(ctx.folder, `${index}`));
      writeFileSync(join(ctx.folder, `${index - (index % 1_000)}`, `${index}`), '');
      if (index % 1_000 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  },
  'locked-folder': async (_facts, ctx) => {
    mkdirSync(join(ctx.folder, 'locked', 'inner'), { recursive: true });
    writeFileSync(join(ctx.folder, 'locked', 'inner', 'file'), 'x');
    spawn('chmod', ['000', join(ctx.folder, 'locked')]).on('exit', () => undefined);
    return { done: true };
  },
  'setsid-grandchild': async () => {
    node('setInterval(() => {}, 1000)', true);
    return { started: true };
  },
  'deaf-grandchild': async () => {
    node("process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)");
    return { started: true };
  },
  'program-that-stays': async (_facts, ctx) => {
    spawn('sleep', ['600'], { stdio: 'ignore' });
    ctx.progress(1, 'running');
    return never();
  },
  'program-and-spin': async (_facts, ctx) => {
    await once(spawn('sleep', ['600'], { stdio: 'ignore' }), 'spawn');
    ctx.progress(1, 'running');
    // The message leaves before the loop is blocked for good.
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (;;);
  },
  'cpu-limit': () => {
    for (;;);
  },
  reach: async ({ text }) => {
    const [what = '', target = ''] = text.split(' ');
    if (what === 'read') return { read: readFileSync(target, 'latin1').length };
    if (what === 'write') return { wrote: writeFileSync(target, 'x') ?? true };
    const socket = what === 'unix' ? connect(target) : connect(Number(target), '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
    return { connected: true };
  },
};

/** Writes everything, also where the pipe is full for a moment. */
function writeAll(fd: number, chunk: Buffer): void {
  for (let sent = 0; sent < chunk.length; ) {
    try {
      sent += writeSync(fd, chunk, sent);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }
}

export default defineHandler(job, {
  env: z.object({ TROUBLE: z.string().default('none') }),
  run: async ({ how, text, count }, ctx) => {
    const way = ways[how];
    if (way === undefined) throw giveUp('PAYLOAD_INVALID', `no way "${how}"`);
    return way({ text, count }, ctx);
  },
});
