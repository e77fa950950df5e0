/**
 * One worker in a process of its own: `node worker.js ours|theirs redis|postgres URL RUN_MS`. Tells its parent `ready`; asked by any
 * message, it answers with what it saw since. SIGTERM stops it as a deploy would.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { handlerHooks } from '../hooks.ts';
import { openBullmq } from '../side-bullmq.ts';
import { openOurs } from '../side-ours.ts';

/** Monotonic ms, the same clock in every process of the machine. */
const clock = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

const [which, name = '', url = '', runMs = '0'] = process.argv.slice(2);
if (name !== 'redis' && name !== 'postgres') throw new Error(`expected redis or postgres, got ${name}`);
const side = await (which === 'ours' ? openOurs({ url }) : openBullmq({ name, url }));

let latencies: number[] = [];
let startedAt: number[] = [];
let ended = 0;
handlerHooks.start = ({ at }) => {
  startedAt.push(clock());
  const due = Number(at);
  if (Number.isFinite(due)) latencies.push(clock() - due);
};
handlerHooks.end = () => {
  ended += 1;
};
if (Number(runMs) > 0) handlerHooks.work = () => wait(Number(runMs));

const worker = await side.work();
process.on('message', () => {
  process.send?.({ latencies, startedAt, ended });
  latencies = [];
  startedAt = [];
});
process.once('SIGTERM', () => {
  void (async () => {
    await worker.stop();
    process.send?.({ latencies, startedAt, ended });
    await side.close();
    process.disconnect?.();
  })();
});
process.send?.('ready');
