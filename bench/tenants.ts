/** R8: many tenants of one fair queue against one tenant, same jobs, in turn; process only, 50 at once. */
import { type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import fairNoop from './jobs/fair-noop/job.ts';
import { onEachServer, type Server } from './servers.ts';
import { cpuMicros, openOurs, type Side } from './sides.ts';

const many = 10_000;

interface Measured {
  readonly perSecond: number;
  readonly cpuPerJob: number;
}

async function measure(
  side: Side,
  server: Server,
  tenants: number,
  count: number,
): Promise<Record<'add' | 'run', Measured>> {
  await side.clear();
  const cpu = cpuMicros(server);
  const startedAt = performance.now();
  await side.fill(count, tenants);
  const addMs = performance.now() - startedAt;
  const addCpu = cpuMicros(server) - cpu;
  const { ms, cpuMicros: runCpu } = await side.drain(count);
  await side.assertEmpty();
  return {
    add: { perSecond: (count / addMs) * 1_000, cpuPerJob: addCpu / count },
    run: { perSecond: (count / ms) * 1_000, cpuPerJob: runCpu / count },
  };
}

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const count = (server.name === 'redis' ? 20_000 : 8_000) / (quick ? 4 : 1);
  const side = await openOurs(server, fairNoop);
  await measure(side, server, 1, count / 4); // warm-up
  const rounds = { add: [] as Round[], run: [] as Round[] };
  for (let round = 0; round < (quick ? 3 : 5); round += 1) {
    const first = await measure(side, server, round % 2 === 0 ? many : 1, count);
    const second = await measure(side, server, round % 2 === 0 ? 1 : many, count);
    const [a, b] = round % 2 === 0 ? [first, second] : [second, first];
    for (const what of ['add', 'run'] as const) {
      rounds[what].push({
        ours: a[what].perSecond,
        theirs: b[what].perSecond,
        oursCpu: a[what].cpuPerJob,
        theirsCpu: b[what].cpuPerJob,
      });
    }
  }
  await side.clear();
  await side.close();
  const name = `jobs of ${many} tenants against jobs of one, jobs/s`;
  return [
    goal({ goal: 'R8', name: `add ${name}`, backend: server.name }, rounds.add),
    goal({ goal: 'R8', name: `process ${name}`, backend: server.name }, rounds.run),
  ];
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
