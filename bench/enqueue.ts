/** Enqueue 2K jobs: 100 callers, one caller in a loop, bulks of 100; against raw BullMQ on the same server (R4, P2: nothing lost to our layer). */
import { type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import { onEachServer, type Server } from './servers.ts';
import { cpuMicros, openOurs, openTheirs, type Side } from './sides.ts';

const callers = 100;

interface Way {
  readonly name: string;
  readonly jobs: (server: Server, quick: boolean) => number;
  readonly run: (side: Side, jobs: number) => Promise<void>;
}

const ways: readonly Way[] = [
  {
    name: 'enqueue 2K, 100 callers, jobs/s',
    jobs: (server, quick) => (server.name === 'redis' ? 20_000 : 5_000) / (quick ? 5 : 1),
    run: async (side, jobs) => {
      let next = 0;
      const caller = async (): Promise<void> => {
        while (next < jobs) {
          next += 1;
          await side.add(next);
        }
      };
      await Promise.all(Array.from({ length: callers }, caller));
    },
  },
  {
    name: 'enqueue 2K, one caller, jobs/s',
    jobs: (_, quick) => (quick ? 1_000 : 4_000),
    run: async (side, jobs) => {
      for (let index = 0; index < jobs; index += 1) await side.add(index);
    },
  },
  {
    name: 'enqueueMany of 100 2K jobs, jobs/s',
    jobs: (_, quick) => (quick ? 2_000 : 10_000),
    run: async (side, jobs) => {
      for (let index = 0; index < jobs; index += 100) await side.addBulk(index);
    },
  },
];

async function measure(
  way: Way,
  side: Side,
  server: Server,
  jobs: number,
): Promise<{ readonly perSecond: number; readonly cpuPerJob: number }> {
  await side.clear();
  const before = cpuMicros(server);
  const start = performance.now();
  await way.run(side, jobs);
  const ms = performance.now() - start;
  return { perSecond: (jobs / ms) * 1_000, cpuPerJob: (cpuMicros(server) - before) / jobs };
}

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const ours = await openOurs(server);
  const theirs = await openTheirs(server);
  const goals: Goal[] = [];
  for (const way of ways) {
    const jobs = way.jobs(server, quick);
    for (const side of [ours, theirs]) await measure(way, side, server, Math.min(1_000, jobs)); // warm-up
    const rounds: Round[] = [];
    for (let round = 0; round < (quick ? 3 : 5); round += 1) {
      const first = await measure(way, round % 2 === 0 ? ours : theirs, server, jobs);
      const second = await measure(way, round % 2 === 0 ? theirs : ours, server, jobs);
      const [a, b] = round % 2 === 0 ? [first, second] : [second, first];
      rounds.push({ ours: a.perSecond, theirs: b.perSecond, oursCpu: a.cpuPerJob, theirsCpu: b.cpuPerJob });
    }
    goals.push(goal({ goal: server.name === 'redis' ? 'R4' : 'P2', name: way.name, backend: server.name }, rounds));
  }
  await ours.clear();
  await theirs.clear();
  await ours.close();
  await theirs.close();
  return goals;
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
