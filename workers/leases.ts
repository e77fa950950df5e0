/**
 * What this process holds, renewed off the main loop: BullMQ's own renewal is off, because a handler that computes
 * would block it. Running attempts stand in shared memory, a thread with its own connection renews them.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { LeaseConnection } from '../backends/backend.ts';
import { slotMemory, slotWriter } from './lease-slots.ts';
import { beatEveryMs } from './watchdog.ts';

const threadMessage = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('failing'), message: z.string() }),
  z.object({ kind: z.literal('renewing') }),
  z.object({
    kind: z.literal('lost'),
    slots: z.array(z.object({ queue: z.string(), id: z.string(), token: z.string() })),
  }),
]);

export interface LeaseOptions {
  readonly connection: LeaseConnection;
  readonly leaseMs: number;
  readonly queues: readonly string[];
  /** At least as many as claims can be held at the same time. */
  readonly slots: number;
  /** A running attempt is somebody else's by now. */
  readonly onLost: (lost: { readonly queue: string; readonly id: string; readonly token: string }) => void;
  /** Called whenever `problem()` changes: a sentence, or undefined when all is well again. */
  readonly onChange: (problem: string | undefined) => void;
  /** Descriptor for the watchdog's lines; default 2. */
  readonly reportTo?: number;
}

export interface Leases {
  /** Answers what `release` wants. `deadlineAt`: epoch ms after which a blocked main loop is ended; infinite for children. */
  take(queue: string, id: string, token: string, deadlineAt: number): number;
  release(slot: number): void;
  /** Why nothing may be claimed now; undefined when leases are being renewed. */
  problem(): string | undefined;
  close(): Promise<void>;
}

const restartMs = 1_000;
const closeMs = 2_000;

/** Resolves when the thread is ready to renew; rejects when it cannot start. Later deaths are healed by a new thread. */
export async function openLeases(options: LeaseOptions): Promise<Leases> {
  const memory = slotMemory(options.slots);
  const writer = slotWriter(memory);
  const queueIndex = new Map(options.queues.map((queue, index) => [queue, index]));
  let problem: string | undefined = 'The lease thread is not ready yet.';
  let thread: Worker | undefined;
  let restart: NodeJS.Timeout | undefined;
  let isClosing = false;
  const change = (next: string | undefined): void => {
    problem = next;
    options.onChange(next);
  };
  writer.beat(Date.now());
  const beat = setInterval(() => writer.beat(Date.now()), beatEveryMs);

  const start = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const begun = startThread({ ...options, memory });
      thread = begun;
      begun.on('message', (message: unknown) => {
        const said = threadMessage.parse(message);
        if (said.kind === 'lost') for (const slot of said.slots) options.onLost(slot);
        else if (said.kind === 'failing') change(`Leases cannot be renewed: ${said.message}`);
        else change(undefined);
        if (said.kind === 'ready') resolve();
      });
      begun.on('error', (error) => {
        reject(error);
        change(`The lease thread failed: ${error.message}`);
      });
      begun.on('exit', () => {
        if (isClosing || thread !== begun) return;
        reject(new Error('The lease thread ended before it was ready.'));
        // A failed restart is reported by its own 'error' event and followed by its own 'exit'.
        restart = setTimeout(() => void start().catch(() => undefined), restartMs);
      });
    });
  const close = async (): Promise<void> => {
    isClosing = true;
    clearTimeout(restart);
    clearInterval(beat);
    if (thread !== undefined) await endThread(thread);
  };
  try {
    await start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    take(queue, id, token, deadlineAt) {
      const index = queueIndex.get(queue);
      if (index === undefined) throw new Error(`The lease thread was not told of the queue "${queue}".`);
      return writer.take({ queue: index, id, token, deadlineAt });
    },
    release: (slot) => writer.release(slot),
    problem: () => problem,
    close,
  };
}

function startThread(options: LeaseOptions & { readonly memory: SharedArrayBuffer }): Worker {
  const { connection, leaseMs, queues, memory, reportTo = 2 } = options;
  return new Worker(threadEntry(), { workerData: { connection, leaseMs, queues, memory, reportTo } });
}

/** From source (tests, benches) the thread needs tsx, and Node 20 takes no `--import` for a thread: a small module registers it. */
function threadEntry(): URL {
  if (!import.meta.url.endsWith('.ts')) return new URL('./lease-thread.js', import.meta.url);
  // `require` finds the CommonJS build; the module build beside it is the one a thread can import.
  const api = pathToFileURL(
    createRequire(import.meta.url)
      .resolve('tsx/esm/api')
      .replace(/\.cjs$/, '.mjs'),
  );
  const entry = new URL('./lease-thread.ts', import.meta.url);
  const code = `import { register } from '${api.href}'; register(); await import('${entry.href}');`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}

async function endThread(thread: Worker): Promise<void> {
  const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
  if (thread.threadId === -1) return;
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  thread.postMessage({ kind: 'close' });
  const late = setTimeout(() => void thread.terminate(), closeMs);
  await ended;
  clearTimeout(late);
}
