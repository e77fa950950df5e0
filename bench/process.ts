/**
 * R1-R3, P1: process 2K jobs that wait, by one worker in this process. The clock runs from the first start of a handler
 * to the last end; afterwards nothing may wait, run or have failed. Against raw BullMQ with 50 at once, its best, and
 * the queues of `peers.ts`. `all on`: jobs of 50 tenants on a queue that they share fairly, with `ctx.once` round the
 * handler; fence and registry are always on.
 */
import { atLeast, type BenchOptions, type Goal, goal, type Target } from './goal.ts';
import fairOnce from './jobs/fair-once/job.ts';
import { openPeers } from './peers.ts';
import { against, best, inTurn, type Measured, perJob } from './rounds.ts';
import { onEachServer, type Server } from './servers.ts';
import { assertEmpty, drain, fill, type Side } from './side.ts';
import { openBullmq } from './side-bullmq.ts';
import { type OursOptions, openOurs } from './side-ours.ts';

interface Case {
  readonly name: string;
  readonly jobs: number;
  readonly handlerMs: number;
  readonly keep?: 'none';
  /** Our settings; the best of them is the line. */
  readonly atOnce: readonly number[];
  readonly goal: string;
  readonly target: Target;
  /** Other queues than BullMQ; the rest of them have no goal. */
  readonly peers?: Readonly<Record<string, Target>>;
  /** The goal with everything on, where the case asks for it; at once: as many of them as the server has connections for. */
  readonly allOn?: { readonly target: Target; readonly atOnce: readonly number[] };
}

const cases: Readonly<Record<'postgres' | 'redis', readonly Case[]>> = {
  redis: [
    {
      name: 'no-op jobs',
      jobs: 30_000,
      handlerMs: 0,
      atOnce: [50, 100],
      goal: 'R1',
      target: atLeast(1.5, 0.95),
      allOn: { target: atLeast(0.9, 0.75), atOnce: [50, 100] },
    },
    {
      name: 'no-op jobs, removed when done',
      jobs: 10_000,
      handlerMs: 0,
      keep: 'none',
      atOnce: [50, 100, 200],
      goal: 'R2',
      target: atLeast(1.4, 0.95),
      peers: { 'bee-queue': atLeast(1.05) },
    },
    {
      name: 'jobs of 1 ms, removed when done',
      jobs: 10_000,
      handlerMs: 1,
      keep: 'none',
      atOnce: [50, 100],
      goal: 'R3',
      target: atLeast(1.5),
      peers: { 'bee-queue': atLeast(1.1) },
    },
  ],
  postgres: [
    {
      name: 'no-op jobs',
      jobs: 8_000,
      handlerMs: 0,
      atOnce: [50, 100],
      goal: 'P1',
      target: atLeast(2.5, 1.5),
      peers: { 'pg-boss': atLeast(1) },
      allOn: { target: atLeast(1, 0.8), atOnce: [50] },
    },
  ],
};

function targetOf({ peers = {} }: Case, peer: string): Target[] {
  const target = peers[peer];
  return target === undefined ? [] : [target];
}

async function measure(side: Side, server: Server, jobs: number, handlerMs: number): Promise<Measured> {
  await side.clear();
  await fill(side, jobs);
  const { ms, cpuMicros } = await drain(side, jobs, server, handlerMs);
  await assertEmpty(side);
  return perJob(jobs, ms, cpuMicros);
}

async function openSides(one: Case, server: Server): Promise<Record<string, Side>> {
  const keep = one.keep === undefined ? {} : { keep: one.keep };
  const sides: Record<string, Side> = { BullMQ: await openBullmq(server, keep) };
  const ours = (more: OursOptions): Promise<Side> => openOurs(server, { ...keep, ...more });
  for (const atOnce of one.atOnce) sides[`c${atOnce}`] = await ours({ atOnce });
  let next = 0;
  const tenant = () => `t${(next += 1) % 50}`;
  for (const atOnce of one.allOn?.atOnce ?? [])
    sides[`c${atOnce}, all on`] = await ours({ type: fairOnce, tenant, atOnce });
  // What a peer keeps of a finished job is its own affair: on Redis it is compared where nobody keeps any.
  if (one.keep === 'none' || server.name !== 'redis')
    for (const atOnce of one.atOnce.filter((count) => count <= 100))
      for (const [name, side] of await openPeers(server, atOnce)) sides[`${name} c${atOnce}`] = side;
  return sides;
}

async function onCase(one: Case, server: Server, quick: boolean): Promise<Goal[]> {
  const jobs = one.jobs / (quick ? 5 : 1);
  const sides = await openSides(one, server);
  for (const side of Object.values(sides)) await measure(side, server, jobs / 4, one.handlerMs); // warm-up
  const found = await inTurn(
    quick ? 3 : 5,
    Object.fromEntries(
      Object.entries(sides).map(([name, side]) => [name, () => measure(side, server, jobs, one.handlerMs)]),
    ),
  );
  for (const side of Object.values(sides)) {
    await side.clear();
    await side.close();
  }
  const of = (...names: readonly string[]): Measured[] => best(...names.map((name) => found[name] ?? []));
  const line = (ours: string, mine: Measured[], theirs: string, other: Measured[], targets: readonly Target[]): Goal =>
    goal(
      {
        goal: one.goal,
        name: `process 2K ${one.name}, jobs/s, ${ours} against ${theirs}`,
        backend: server.name,
      },
      against(mine, other),
      ...targets,
    );
  const settings = one.atOnce.map((atOnce) => `c${atOnce}`);
  const mine = of(...settings);
  const goals = settings.map((name) => line(name, of(name), 'BullMQ c50', of('BullMQ'), []));
  goals.push(line('the better setting', mine, 'BullMQ c50', of('BullMQ'), [one.target]));
  if (one.allOn !== undefined) {
    const allOn = of(...one.allOn.atOnce.map((atOnce) => `c${atOnce}, all on`));
    goals.push(line('fence, once, registry and tenants', allOn, 'BullMQ c50', of('BullMQ'), [one.allOn.target]));
  }
  const peers = new Set(Object.keys(sides).flatMap((name) => /^(.+) c\d+$/.exec(name)?.[1] ?? []));
  for (const peer of peers) {
    const theirs = of(...Object.keys(sides).filter((name) => name.startsWith(`${peer} c`)));
    goals.push(line('the better setting', mine, `${peer} at its better`, theirs, targetOf(one, peer)));
  }
  return goals;
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, async (server) => {
    const goals: Goal[] = [];
    for (const one of cases[server.name === 'redis' ? 'redis' : 'postgres'])
      goals.push(...(await onCase(one, server, quick)));
    return goals;
  });
