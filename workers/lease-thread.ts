/**
 * The lease thread: renews what stands in the slots over a connection of its own, where no handler can block it, and
 * watches the main loop. It writes to the descriptor itself, because a thread's console passes through the main loop.
 */
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { openLeaseRenewer } from '../backends/lease-renewer.ts';
import { type Slot, slotReader } from './lease-slots.ts';
import { judgeLoop, type LoopState, watchdogTickMs } from './watchdog.ts';

const settings = z
  .object({
    connection: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('postgres'), url: z.string(), schema: z.string() }),
      z.object({ kind: z.literal('redis'), url: z.string() }),
    ]),
    leaseMs: z.number(),
    queues: z.array(z.string()),
    memory: z.instanceof(SharedArrayBuffer),
    reportTo: z.number(),
  })
  .parse(workerData);

const port = parentPort;
if (port === null) throw new Error('lease-thread.ts runs as a worker thread only; it was started as a program.');

const reader = slotReader(settings.memory);
const renewer = await openLeaseRenewer(settings.connection);
const everyMs = Math.round(settings.leaseMs / 3);
const againMs = Math.min(1_000, Math.round(settings.leaseMs / 6));
let isClosing = false;
let isFailing = false;
let renewing: Promise<void> = Promise.resolve();
let timer: NodeJS.Timeout | undefined;

/** One round trip per queue that has running attempts. */
async function renewAll(): Promise<void> {
  for (const [index, queue] of settings.queues.entries()) {
    const held = reader.taken().filter((slot) => slot.queue === index);
    for (const batch of withoutTwins(held)) await renewBatch(queue, batch);
  }
}

/** The store answers by id: a job claimed here again after its lease was lost stands in two slots, and they go apart. */
function withoutTwins(held: readonly Slot[]): Slot[][] {
  const batches: Slot[][] = [];
  const seen = new Map<string, number>();
  for (const slot of held) {
    const round = seen.get(slot.id) ?? 0;
    seen.set(slot.id, round + 1);
    (batches[round] ??= []).push(slot);
  }
  return batches;
}

async function renewBatch(queue: string, batch: readonly Slot[]): Promise<void> {
  const ids = batch.map((slot) => slot.id);
  const tokens = batch.map((slot) => slot.token);
  const lost = new Set(await renewer.extend(queue, ids, tokens, settings.leaseMs));
  if (lost.size === 0) return;
  // Most of these have just ended. Only what still stands in its slot with the same token is news.
  const still = new Set(reader.taken().map((slot) => slot.token));
  const slots = batch.filter((slot) => lost.has(slot.id) && still.has(slot.token));
  if (slots.length > 0)
    port?.postMessage({ kind: 'lost', slots: slots.map(({ id, token }) => ({ queue, id, token })) });
}

async function renew(): Promise<void> {
  let waitMs = everyMs;
  try {
    await renewAll();
    if (isFailing) port?.postMessage({ kind: 'renewing' });
    isFailing = false;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (!isFailing) port?.postMessage({ kind: 'failing', message });
    isFailing = true;
    waitMs = againMs;
  }
  if (!isClosing) timer = setTimeout(start, waitMs);
}

function start(): void {
  renewing = renew();
}

let loop: LoopState = { tickedAt: Date.now(), thawedAt: Date.now(), isReported: false };

function watch(): void {
  const taken: Slot[] = reader.taken();
  const judged = judgeLoop(loop, { now: Date.now(), beatAt: reader.beatAt(), taken });
  loop = judged.state;
  for (const report of judged.reports)
    writeSync(
      settings.reportTo,
      `${JSON.stringify({ level: 'error', name: 'lease-thread', pid: process.pid, ...report })}\n`,
    );
  // Nothing on the main loop can end such an attempt; its neighbours are suspects and run again, each alone.
  if (judged.kill) process.kill(process.pid, 'SIGKILL');
}

const watchdog = setInterval(watch, watchdogTickMs);
start();
port.on('message', () => {
  isClosing = true;
  clearTimeout(timer);
  clearInterval(watchdog);
  void renewing.then(() => renewer.close()).finally(() => port?.close());
});
port.postMessage({ kind: 'ready' });
