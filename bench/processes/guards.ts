/**
 * The guards that are cheap to keep, for the suites: under half a minute on a quiet machine. Ratios only, most of them of
 * CPU time, with slack for a machine that does other things too. One JSON line per goal.
 */
import { type AddedAndRun, addAndRun } from '../add-and-run.ts';
import { atLeast, atMost, type Goal, goal, type Target } from '../goal.ts';
import { against, inTurn } from '../rounds.ts';
import { type Server, startPostgres, startRedis } from '../servers.ts';
import { openBullmq } from '../side-bullmq.ts';
import { openOurs } from '../side-ours.ts';

interface Guarded {
  readonly jobs: number;
  readonly goal: readonly [add: string, run: string];
  readonly add: readonly Target[];
  readonly run: readonly Target[];
  /** Of our layer on the stock backend, for both. */
  readonly layer: readonly Target[];
}

const guarded: Readonly<Record<'postgres' | 'redis', Guarded>> = {
  redis: {
    jobs: 3_000,
    goal: ['R4', 'R1'],
    add: [atMost(0.75, 1.25, 'cpu')],
    run: [atMost(0.75, 1.25, 'cpu')],
    layer: [atMost(1.05, 2, 'cpu')],
  },
  postgres: {
    jobs: 1_000,
    goal: ['P2', 'P1'],
    add: [atLeast(3, 1.2), atMost(0.5, 0.9, 'cpu')],
    run: [atLeast(2.5, 0.9), atMost(0.5, 0.9, 'cpu')],
    layer: [atMost(1.05, 2, 'cpu')],
  },
};

async function guard(server: Server): Promise<Goal[]> {
  const { jobs, goal: numbers, add, run, layer } = guarded[server.name === 'redis' ? 'redis' : 'postgres'];
  const sides = {
    ours: await openOurs(server),
    stock: await openOurs(server, { batching: false }),
    BullMQ: await openBullmq(server),
  };
  for (const side of Object.values(sides)) await addAndRun(side, server, jobs); // until the code is compiled
  const found = await inTurn(3, {
    ours: () => addAndRun(sides.ours, server, jobs),
    stock: () => addAndRun(sides.stock, server, jobs),
    BullMQ: () => addAndRun(sides.BullMQ, server, jobs),
  });
  for (const side of Object.values(sides)) await side.close();
  const line = (
    number: string,
    name: string,
    mine: readonly AddedAndRun[],
    what: 'add' | 'run',
    targets: readonly Target[],
  ): Goal =>
    goal(
      { goal: number, name: `${what} 2K jobs, jobs/s, ${name} against BullMQ`, backend: server.name },
      against(
        mine.map((one) => one[what]),
        found.BullMQ.map((one) => one[what]),
      ),
      ...targets,
    );
  return [
    line(numbers[0], 'ours', found.ours, 'add', add),
    line(numbers[1], 'ours', found.ours, 'run', run),
    line('L1', 'our layer on the stock backend', found.stock, 'add', layer),
    line('L1', 'our layer on the stock backend', found.stock, 'run', layer),
  ];
}

for (const start of [startRedis, startPostgres]) {
  const server = await start();
  for (const line of await guard(server)) process.stdout.write(`${JSON.stringify(line)}\n`);
  await server.close();
}
