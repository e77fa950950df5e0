/** Process no-op jobs of 2K, 50 at once, against raw BullMQ on the same server with the same options (R1, P1: nothing lost to our layer). */
import { type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import { onEachServer, type Server } from './servers.ts';
import { openOurs, openTheirs, type Side } from './sides.ts';

interface Measured {
  readonly perSecond: number;
  /** CPU of this process and of the server, µs a job. */
  readonly cpuPerJob: number;
}

async function measure(side: Side, count: number): Promise<Measured> {
  await side.clear();
  await side.fill(count);
  const { ms, cpuMicros } = await side.drain(count);
  await side.assertEmpty();
  return { perSecond: (count / ms) * 1_000, cpuPerJob: cpuMicros / count };
}

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const count = (server.name === 'redis' ? 30_000 : 8_000) / (quick ? 5 : 1);
  const ours = await openOurs(server);
  const theirs = await openTheirs(server);
  const rounds: Round[] = [];
  for (const side of [ours, theirs]) await measure(side, count / 4); // warm-up
  for (let round = 0; round < (quick ? 3 : 5); round += 1) {
    // Who goes first alternates: a server that grows does not favour one side.
    const first = await measure(round % 2 === 0 ? ours : theirs, count);
    const second = await measure(round % 2 === 0 ? theirs : ours, count);
    const [a, b] = round % 2 === 0 ? [first, second] : [second, first];
    rounds.push({ ours: a.perSecond, theirs: b.perSecond, oursCpu: a.cpuPerJob, theirsCpu: b.cpuPerJob });
  }
  await ours.close();
  await theirs.close();
  return [
    goal(
      { goal: server.name === 'redis' ? 'R1' : 'P1', name: 'process 2K no-op jobs, c50, jobs/s', backend: server.name },
      rounds,
    ),
  ];
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
