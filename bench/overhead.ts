/**
 * What our layer costs: CPU of client and server for one 2K job, added by one of 100 callers and run by 50 at once.
 * L1: on the stock backend, each call by itself as raw BullMQ makes it, so that nothing hides the layer; then its options,
 * one at a time. R5: as it comes, on the batched backend. CPU alone counts. Tracing is not offered, so it has no line.
 */
import { openSync } from 'node:fs';
import pino from 'pino';
import { createLog, type Log } from '../runtime/log.ts';
import { type AddedAndRun, addAndRun } from './add-and-run.ts';
import { atMost, type BenchOptions, type Goal, goal, type Target } from './goal.ts';
import secretNoop from './jobs/secret-noop/job.ts';
import { against, inTurn, type Measured } from './rounds.ts';
import { onEachServer, type Server } from './servers.ts';
import type { Side } from './side.ts';
import { openBullmq } from './side-bullmq.ts';
import { openOurs } from './side-ours.ts';

type Name = 'batched' | 'charts' | 'line' | 'raw' | 'secret' | 'stock' | 'tenant';

const openSides = async (server: Server): Promise<Readonly<Record<Name, Side>>> => ({
  raw: await openBullmq(server),
  charts: await openBullmq(server, { charts: true }),
  stock: await openOurs(server, { batching: false }),
  tenant: await openOurs(server, { batching: false, tenant: () => 't1' }),
  line: await openOurs(server, { batching: false, log: lines() }),
  secret: await openOurs(server, { batching: false, type: secretNoop }),
  batched: await openOurs(server),
});

/** A line on its way to a destination that gathers, as in production. */
function lines(): Log {
  const destination = pino.destination({ fd: openSync('/dev/null', 'w'), sync: false, minLength: 4_096 });
  return createLog({ name: 'bench', level: 'info', pretty: false, destination });
}

const cpuOf = ({ cpu = Number.NaN }: Measured): Measured => ({ value: cpu });
const sumOf = ({ add, run }: AddedAndRun): Measured => ({ value: cpuOf(add).value + cpuOf(run).value });

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const jobs = (server.name === 'redis' ? 10_000 : 4_000) / (quick ? 4 : 1);
  const sides = await openSides(server);
  // Until the code is compiled.
  for (const side of Object.values(sides)) await addAndRun(side, server, Math.max(jobs, 4_000));
  const ways = Object.entries(sides).map(([name, side]) => [name, () => addAndRun(side, server, jobs)] as const);
  const found = await inTurn<Name, AddedAndRun>(
    quick ? 3 : 7,
    Object.fromEntries(ways) as Record<Name, () => Promise<AddedAndRun>>,
  );
  for (const side of Object.values(sides)) {
    await side.clear();
    await side.close();
  }
  const line = (
    number: string,
    what: string,
    [ours, theirs]: readonly [Name, Name],
    of: (one: AddedAndRun) => Measured,
    ...targets: readonly Target[]
  ): Goal => {
    const facts = { goal: number, name: `${what}, CPU µs a job`, backend: server.name };
    return goal(facts, against(found[ours].map(of), found[theirs].map(of)), ...targets);
  };
  const layer = 'our layer on the stock backend';
  return [
    line('L1', `${layer}: add and run`, ['stock', 'raw'], sumOf, atMost(1.05, 1.25)),
    line('L1', `${layer}: add`, ['stock', 'raw'], ({ add }) => cpuOf(add)),
    line('L1', `${layer}: run`, ['stock', 'raw'], ({ run }) => cpuOf(run)),
    line('L1', `${layer}, raw BullMQ counts for charts as ours does`, ['stock', 'charts'], sumOf),
    line('L1', `${layer}, a log line an attempt`, ['line', 'raw'], sumOf, atMost(1.08, 1.35)),
    line('L1', `${layer}, jobs of a tenant`, ['tenant', 'raw'], sumOf),
    line('L1', `${layer}, a field encrypted and redacted`, ['secret', 'raw'], sumOf),
    line('R5', 'add and run as it comes', ['batched', 'raw'], sumOf, atMost(0.65, 0.75)),
  ];
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
