/** R8: jobs of many tenants of one fair queue against jobs of one tenant, in turn: added in bulks, and processed, 50 at once. */
import { atLeast, type BenchOptions, type Goal, goal } from './goal.ts';
import fairNoop from './jobs/fair-noop/job.ts';
import { against, inTurn, type Measured, perJob } from './rounds.ts';
import { onEachServer, type Server } from './servers.ts';
import { assertEmpty, drain, fill, spent } from './side.ts';
import { openOurs } from './side-ours.ts';

const counts = { one: 1, hundred: 100, many: 10_000 } as const;

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const count = (server.name === 'redis' ? 20_000 : 8_000) / (quick ? 4 : 1);
  let tenants: number = counts.one;
  let next = 0;
  const side = await openOurs(server, { type: fairNoop, tenant: () => `t${(next += 1) % tenants}` });
  const adds = { one: [] as Measured[], hundred: [] as Measured[], many: [] as Measured[] };
  const measure = (of: keyof typeof counts) => async (): Promise<Measured> => {
    tenants = counts[of];
    await side.clear();
    const added = await spent(server, () => fill(side, count));
    adds[of].push(perJob(count, added.ms, added.cpuMicros));
    const ran = await drain(side, count, server);
    await assertEmpty(side);
    return perJob(count, ran.ms, ran.cpuMicros);
  };
  await measure('one')(); // warm-up
  adds.one.pop();
  const runs = await inTurn(quick ? 3 : 5, {
    one: measure('one'),
    hundred: measure('hundred'),
    many: measure('many'),
  });
  await side.clear();
  await side.close();
  return (['hundred', 'many'] as const).flatMap((of) => {
    const name = `jobs of ${counts[of]} tenants against jobs of one, jobs/s`;
    return [
      goal({ goal: 'R8', name: `add ${name}`, backend: server.name }, against(adds[of], adds.one)),
      goal(
        { goal: 'R8', name: `process ${name}`, backend: server.name },
        against(runs[of], runs.one),
        atLeast(0.8, 0.6),
      ),
    ];
  });
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
