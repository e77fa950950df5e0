/**
 * I3: SIGTERM to a worker with 50 running jobs of 1 s, while more wait. Ms until it is gone, beside BullMQ's `close()`. Ours
 * starts nothing later than 50 ms after the signal, ends with 0, and hands nothing back: every job that was started is
 * completed, every other one waits. Else the run is void.
 */
import { atMost, type BenchOptions, type Goal, goal } from './goal.ts';
import { against, inTurn, type Measured } from './rounds.ts';
import { onEachServer, type Server } from './servers.ts';
import { concurrency, fill, type Side } from './side.ts';
import { openBullmq } from './side-bullmq.ts';
import { openOurs } from './side-ours.ts';
import { clock, startWorkerProcess } from './worker-process.ts';

const jobMs = 1_000;
const lateMs = 50;
const jobs = 4 * concurrency;

async function measure(which: 'ours' | 'theirs', side: Side, server: Server): Promise<Measured> {
  await side.clear();
  await fill(side, jobs);
  const worker = await startWorkerProcess(which, server, jobMs);
  let started = 0;
  while (started < concurrency) started += (await worker.ask()).startedAt.length;
  const signalledAt = clock();
  const { code, startedAt, ended, tookMs } = await worker.terminate();
  const late = startedAt.filter((ms) => ms > signalledAt + lateMs).length;
  started += startedAt.length;
  const counts = await side.counts();
  const isClean = counts.waiting === jobs - started && counts.active + counts.delayed + counts.failed === 0;
  if (which === 'ours' && (code !== 0 || late > 0 || ended !== started || !isClean))
    throw new Error(
      `the run is void: exit code ${code}, ${late} jobs started over ${lateMs} ms after SIGTERM, ${ended} of ${started} ended, left: ${JSON.stringify(counts)}`,
    );
  return { value: tookMs };
}

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const ours = await openOurs(server);
  const theirs = await openBullmq(server);
  const found = await inTurn(quick ? 2 : 5, {
    ours: () => measure('ours', ours, server),
    theirs: () => measure('theirs', theirs, server),
  });
  for (const side of [ours, theirs]) {
    await side.clear();
    await side.close();
  }
  const name = `SIGTERM with ${concurrency} running jobs of 1 s, ms until gone`;
  const rounds = against(found.ours, found.theirs);
  return [goal({ goal: 'I3', name, backend: server.name }, rounds, atMost(jobMs + 200, jobMs + 1_000, 'ours'))];
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
