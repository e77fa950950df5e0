/**
 * I3: SIGTERM to a worker with 50 running jobs of 1 s, while more wait. Ms until it is gone, beside BullMQ's `close()`; ours must
 * claim nothing later than 50 ms after the signal, exit with 0 and hand nothing back, or the run is void.
 */
import { type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import { onEachServer, type Server } from './servers.ts';
import { concurrency, openOurs, openTheirs, type Side } from './sides.ts';
import { clock, startWorkerProcess } from './worker-process.ts';

const jobMs = 1_000;
const lateClaimMs = 50;

async function measure(side: Side, server: Server): Promise<number> {
  await side.clear();
  await side.fill(4 * concurrency);
  const worker = await startWorkerProcess(side.name, server, jobMs);
  let started = 0;
  while (started < concurrency) started += (await worker.ask()).startedAt.length;
  const signalledAt = clock();
  const { code, startedAt, tookMs } = await worker.terminate();
  const late = startedAt.filter((ms) => ms > signalledAt + lateClaimMs).length;
  if (side.name === 'ours' && (code !== 0 || late > 0))
    throw new Error(`the run is void: exit code ${code}, ${late} jobs started over ${lateClaimMs} ms after SIGTERM`);
  return tookMs;
}

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const sides = [await openOurs(server), await openTheirs(server)] as const;
  const rounds: Round[] = [];
  for (let round = 0; round < (quick ? 2 : 5); round += 1) {
    rounds.push({ ours: await measure(sides[0], server), theirs: await measure(sides[1], server) });
  }
  for (const side of sides) {
    await side.clear();
    await side.close();
  }
  const name = `SIGTERM with ${concurrency} running jobs of 1 s, ms until gone`;
  return [goal({ goal: 'I3', name, backend: server.name }, rounds)];
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
