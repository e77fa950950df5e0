/** L1: what our layer costs: CPU of client and server for one 2K job, added by one of 100 callers and run by 50 at once, against raw BullMQ. */
import { type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import { onEachServer, type Server } from './servers.ts';
import { cpuMicros, openOurs, openTheirs, type Side } from './sides.ts';

async function cpuPerJob(
  side: Side,
  server: Server,
  jobs: number,
): Promise<{ readonly add: number; readonly run: number }> {
  await side.clear();
  const before = cpuMicros(server);
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < jobs) {
      next += 1;
      await side.add(next);
    }
  };
  await Promise.all(Array.from({ length: 100 }, caller));
  const added = cpuMicros(server) - before;
  const drained = await side.drain(jobs);
  await side.assertEmpty();
  return { add: added / jobs, run: drained.cpuMicros / jobs };
}

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const jobs = (server.name === 'redis' ? 10_000 : 4_000) / (quick ? 4 : 1);
  const ours = await openOurs(server);
  const theirs = await openTheirs(server);
  for (const side of [ours, theirs]) await cpuPerJob(side, server, Math.min(jobs, 2_000)); // warm-up
  const adds: Round[] = [];
  const runs: Round[] = [];
  for (let round = 0; round < (quick ? 3 : 7); round += 1) {
    const first = await cpuPerJob(round % 2 === 0 ? ours : theirs, server, jobs);
    const second = await cpuPerJob(round % 2 === 0 ? theirs : ours, server, jobs);
    const [a, b] = round % 2 === 0 ? [first, second] : [second, first];
    adds.push({ ours: a.add, theirs: b.add });
    runs.push({ ours: a.run, theirs: b.run });
  }
  await ours.clear();
  await theirs.clear();
  await ours.close();
  await theirs.close();
  const sums = adds.map((add, index) => ({
    ours: add.ours + (runs[index]?.ours ?? 0),
    theirs: add.theirs + (runs[index]?.theirs ?? 0),
  }));
  const backend = server.name;
  return [
    goal({ goal: 'L1', name: 'add, CPU µs a job', backend }, adds),
    goal({ goal: 'L1', name: 'run, CPU µs a job', backend }, runs),
    goal({ goal: 'L1', name: 'add and run, CPU µs a job', backend }, sums),
  ];
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
