/**
 * What our layer costs: CPU of client and server for one 2K job, added by one of 100 callers and run by 50 at once.
 * L1: on the stock backend, each call by itself as raw BullMQ makes it, so that nothing hides the layer; then its options,
 * one at a time. R5: as it comes, on the batched backend. CPU alone counts.
 */
import { openSync } from 'node:fs';
import pino from 'pino';
import { createLog } from '../runtime/log.ts';
import { atMost, type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import secretNoop from './jobs/secret-noop/job.ts';
import { against, inTurn, type Measured } from './rounds.ts';
import { onEachServer, type Server } from './servers.ts';
import { addBy, assertEmpty, drain, type Side, spent } from './side.ts';
import { openBullmq } from './side-bullmq.ts';
import { openOurs } from './side-ours.ts';

const adding = { callers: 100, perCall: 1 };

/** CPU µs of a job: to add it, and to run it. */
async function cpuPerJob(
  side: Side,
  server: Server,
  jobs: number,
): Promise<{ readonly add: number; readonly run: number }> {
  await side.clear();
  const added = await spent(server, () => addBy(side, jobs, adding));
  const drained = await drain(side, jobs, server);
  await assertEmpty(side);
  return { add: added.cpuMicros / jobs, run: drained.cpuMicros / jobs };
}

/** The way of a line in production: a destination that gathers. */
const lines = () =>
  createLog({
    name: 'bench',
    level: 'info',
    pretty: false,
    destination: pino.destination({ fd: openSync('/dev/null', 'w'), sync: false, minLength: 4_096 }),
  });

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const jobs = (server.name === 'redis' ? 10_000 : 4_000) / (quick ? 4 : 1);
  const sides = {
    raw: await openBullmq(server),
    charts: await openBullmq(server, { charts: true }),
    stock: await openOurs(server, { batching: false }),
    tenant: await openOurs(server, { batching: false, tenant: () => 't1' }),
    line: await openOurs(server, { batching: false, log: lines() }),
    secret: await openOurs(server, { batching: false, type: secretNoop }),
    batched: await openOurs(server),
  };
  const names = Object.keys(sides) as (keyof typeof sides)[];
  const parts = { add: new Map<string, Measured[]>(), run: new Map<string, Measured[]>() };
  for (const name of names) await cpuPerJob(sides[name], server, Math.min(jobs, 5_000)); // until the code is compiled
  const measure = (name: keyof typeof sides) => async (): Promise<Measured> => {
    const { add, run } = await cpuPerJob(sides[name], server, jobs);
    parts.add.set(name, [...(parts.add.get(name) ?? []), { value: add }]);
    parts.run.set(name, [...(parts.run.get(name) ?? []), { value: run }]);
    return { value: add + run };
  };
  const sums = await inTurn(quick ? 3 : 7, {
    raw: measure('raw'),
    charts: measure('charts'),
    stock: measure('stock'),
    tenant: measure('tenant'),
    line: measure('line'),
    secret: measure('secret'),
    batched: measure('batched'),
  });
  for (const side of Object.values(sides)) await side.clear();
  for (const side of Object.values(sides)) await side.close();
  const part = (what: 'add' | 'run'): Round[] => against(parts[what].get('stock') ?? [], parts[what].get('raw') ?? []);
  const line = (number: string, name: string, rounds: Round[], ...targets: Parameters<typeof goal>[2][]): Goal =>
    goal({ goal: number, name: `${name}, CPU µs a job`, backend: server.name }, rounds, ...targets);
  const layer = 'our layer on the stock backend';
  return [
    line('L1', `${layer}: add and run`, against(sums.stock, sums.raw), atMost(1.05, 1.25)),
    line('L1', `${layer}: add`, part('add')),
    line('L1', `${layer}: run`, part('run')),
    line('L1', `${layer}, raw BullMQ counts for charts as ours does`, against(sums.stock, sums.charts)),
    line('L1', `${layer}, a log line an attempt`, against(sums.line, sums.raw), atMost(1.08, 1.3)),
    line('L1', `${layer}, jobs of a tenant`, against(sums.tenant, sums.raw)),
    line('L1', `${layer}, a field encrypted and redacted`, against(sums.secret, sums.raw)),
    line('R5', 'add and run as it comes', against(sums.batched, sums.raw), atMost(0.65, 0.75)),
  ];
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
