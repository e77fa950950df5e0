/**
 * The producer of a run, in a process of its own: adds jobs at a steady rate, each under a key, and writes down every
 * answer. Each second it counts what the store holds. Told `stop`, it waits for the calls under way and ends. `settle` repeats every call whose outcome is unknown
 * under its old key, until it is known or the time is over.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { logPaths, openLog, type ProducerLine, readLog } from './logs.ts';
import { keyOf, workOf } from './plan.ts';
import { countCalls, sample } from './sampler.ts';
import { openSide, readSettings, type Side } from './side.ts';

const tickMs = 20;
const inFlightAtMost = 200;
const callLimitMs = 20_000;
const settleLimitMs = 30_000;
const settledAtOnce = 10;

const settings = readSettings();
const { load, seed, folder } = settings;
const note = openLog<ProducerLine>(logPaths(folder).producer);
const stopping = new AbortController();
const counts = countCalls(folder);

/** A store that is away when the producer starts is waited for. */
async function openWhenThere(): Promise<Side> {
  for (;;) {
    try {
      return await openSide(settings);
    } catch (error) {
      process.stderr.write(`${String(error)}\n`);
      await wait(500);
    }
  }
}

/** A refusal is an answer of ours that says so; anything else leaves the outcome open. */
const refusals = new Set(['INVALID', 'LIMITED', 'TOO_LARGE', 'TOO_DEEP', 'IDEMPOTENCY_MISMATCH', 'OVERLOADED']);

async function call(side: Side, key: string): Promise<boolean> {
  note('attempt', key, {});
  counts.called += 1;
  try {
    const late = wait(callLimitMs, undefined, { ref: false }).then(() => {
      throw new Error(`no answer in ${callLimitMs} ms`);
    });
    const { id, duplicate } = await Promise.race([side.add(workOf(load, key), load.delayMs), late]);
    note('accepted', key, { job: id, duplicate });
    counts.accepted += 1;
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const reason = error instanceof Error ? error.message.slice(0, 200) : String(error);
    const isRefused = refusals.has(code);
    if (isRefused) counts.refused += 1;
    note(isRefused ? 'refused' : 'unknown', key, { reason: `${code} ${reason}`.trim() });
    return isRefused;
  }
}

async function produce(side: Side): Promise<void> {
  const startedAt = Date.now();
  const sampling = sample(side, folder, counts, stopping.signal);
  const calls = new Set<Promise<boolean>>();
  let n = settings.from;
  const last = load.most === undefined ? Number.POSITIVE_INFINITY : settings.from + load.most;
  while (!stopping.signal.aborted && n < last) {
    const due = settings.from + Math.floor(((Date.now() - startedAt) * load.rate) / 1_000);
    for (; n < Math.min(due, last) && calls.size < inFlightAtMost; n += 1) {
      const one = call(side, keyOf(seed, n));
      calls.add(one);
      void one.finally(() => calls.delete(one));
    }
    // What could not be sent in time is not made up for: a producer that is held back sends less. A number of jobs is kept.
    if (load.most === undefined && calls.size >= inFlightAtMost) n = Math.max(n, due);
    await wait(tickMs);
  }
  await Promise.all(calls);
  // A load with an end goes on being counted until it is told to stop.
  await sampling;
  process.send?.({ produced: n });
}

async function settle(side: Side): Promise<void> {
  const until = Date.now() + settleLimitMs;
  while (Date.now() < until) {
    const open = new Set<string>();
    for (const { id, event } of readLog<ProducerLine>(logPaths(folder).producer)) {
      if (event === 'accepted' || event === 'refused') open.delete(id);
      else open.add(id);
    }
    if (open.size === 0) return;
    const keys = [...open];
    for (let at = 0; at < keys.length && Date.now() < until; at += settledAtOnce)
      await Promise.all(keys.slice(at, at + settledAtOnce).map((key) => call(side, key)));
    await wait(200);
  }
}

process.on('message', () => stopping.abort());
process.on('disconnect', () => process.exit(1));
const side = await openWhenThere();
process.send?.({ ready: true });
await (process.argv[2] === 'settle' ? settle(side) : produce(side));
process.exit(0);
