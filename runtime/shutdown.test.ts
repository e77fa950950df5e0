import { once } from 'node:events';
import { expect, test } from 'vitest';
import { createLog } from './log.ts';
import { createShutdown } from './shutdown.ts';

const log = createLog({ name: 'test', level: 'silent' });

test('runs the phases in order, once, and ends with 0', async () => {
  const order: string[] = [];
  const shutdown = createShutdown({ log });
  shutdown.add({ name: 'stop claiming', deadlineMs: 1_000, run: () => void order.push('stop') });
  shutdown.add({ name: 'close', deadlineMs: 1_000, run: async () => void order.push('close') });
  expect(shutdown.draining()).toBe(false);
  const codes = await Promise.all([shutdown.begin('test'), shutdown.begin('again')]);
  expect(shutdown.draining()).toBe(true);
  expect(order).toEqual(['stop', 'close']);
  expect(codes).toEqual([0, 0]);
});

test('a phase that fails or is late is left behind and makes the exit code 1', async () => {
  const order: string[] = [];
  const shutdown = createShutdown({ log });
  shutdown.add({
    name: 'failing',
    deadlineMs: 1_000,
    run: () => {
      throw new Error('broken');
    },
  });
  shutdown.add({ name: 'endless', deadlineMs: 5, run: () => new Promise(() => undefined) });
  shutdown.add({ name: 'last', deadlineMs: 1_000, run: () => void order.push('last') });
  expect(await shutdown.begin('test')).toBe(1);
  expect(order).toEqual(['last']);
});

test('the first signal drains, the second exits at once', async () => {
  const codes: number[] = [];
  const announced: string[] = [];
  let over = (): void => undefined;
  const draining = new Promise<void>((resolve) => {
    over = resolve;
  });
  const shutdown = createShutdown({
    log,
    exit: (code) => void codes.push(code),
    announce: (signal) => void announced.push(signal),
  });
  shutdown.add({ name: 'drain', deadlineMs: 5_000, run: () => draining });
  const stop = shutdown.listen();
  try {
    const heard = once(process, 'SIGHUP');
    process.kill(process.pid, 'SIGHUP');
    await heard;
    expect(announced).toEqual(['SIGHUP']);
    const again = once(process, 'SIGTERM');
    process.kill(process.pid, 'SIGTERM');
    await again;
    expect(codes).toEqual([143]);
    over();
    expect(await shutdown.begin('join')).toBe(0);
  } finally {
    stop();
  }
});
