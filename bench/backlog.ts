/**
 * R7: a backlog does not cost. Closed loop: a number of jobs wait, every handler enqueues one more, 50 at once; the rate with
 * a deep backlog beside the rate with 1,000 waiting jobs, in turn. The backlog is filled in by another process, whose
 * garbage is not ours. Then what a look at it takes: counts, the first page, one from its middle. `--large`: 1,000,000 jobs.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { openBackend } from '../backends/open.ts';
import { atLeast, type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import { handlerHooks } from './hooks.ts';
import noop from './jobs/noop/job.ts';
import { payloadOf } from './payload.ts';
import { against, inTurn, type Measured, perJob } from './rounds.ts';
import { onEachServer, type Server } from './servers.ts';
import { drain, type Side } from './side.ts';
import { openOurs } from './side-ours.ts';

const shallow = 1_000;

async function fillElsewhere(server: Server, count: number): Promise<void> {
  const program = new URL('processes/fill.js', import.meta.url);
  const child = fork(program, [server.url, String(count)], { execArgv: [] });
  const [code]: unknown[] = await once(child, 'exit');
  if (code !== 0) throw new Error(`the process that fills in the backlog ended with ${String(code)}`);
}

/** Jobs a second while `depth` jobs wait all the time. */
async function rate(side: Side, server: Server, depth: number, count: number): Promise<Measured> {
  await side.clear();
  await fillElsewhere(server, depth);
  let index = 0;
  handlerHooks.work = () => side.add(payloadOf((index += 1)));
  const { ms, cpuMicros } = await drain(side, count, server);
  handlerHooks.work = undefined;
  return perJob(count, ms, cpuMicros);
}

type Look = 'counts' | 'the first page' | 'a page from the middle';

/** ms that each look takes with `depth` jobs waiting. */
async function looks(side: Side, server: Server, depth: number): Promise<Readonly<Record<Look, number>>> {
  await side.clear();
  await fillElsewhere(server, depth);
  const backend = await openBackend(server.url, { onError: (error) => process.stderr.write(`${error.message}\n`) });
  const queue = backend.queue(noop.name);
  await queue.getJobCounts(); // connects
  const timed = async (look: () => Promise<unknown>): Promise<number> => {
    const start = performance.now();
    await look();
    return performance.now() - start;
  };
  const middle = depth / 2;
  const took = {
    counts: await timed(() => queue.getJobCounts()),
    'the first page': await timed(() => queue.getJobs('waiting', 0, 19)),
    'a page from the middle': await timed(() => queue.getJobs('waiting', middle, middle + 19)),
  };
  await backend.close();
  return took;
}

async function onServer(server: Server, { quick, large }: BenchOptions): Promise<Goal[]> {
  const isRedis = server.name === 'redis';
  const deep = large ? 1_000_000 : isRedis ? (quick ? 50_000 : 200_000) : quick ? 10_000 : 50_000;
  const count = isRedis ? (quick ? 5_000 : 20_000) : quick ? 1_500 : 5_000;
  const side = await openOurs(server);
  await rate(side, server, shallow, Math.min(shallow, count)); // warm-up
  const rounds = quick || large ? 2 : 5;
  const found = await inTurn(rounds, {
    deep: () => rate(side, server, deep, count),
    shallow: () => rate(side, server, shallow, count),
  });
  const few = await looks(side, server, shallow);
  const many = await looks(side, server, deep);
  await side.clear();
  await side.close();
  const waiting = `with ${deep} waiting against ${shallow}`;
  const look = (name: Look): Goal => {
    const round: Round = { ours: many[name], theirs: few[name] };
    return goal({ goal: 'R7', name: `${name} ${waiting}, ms`, backend: server.name }, [round]);
  };
  return [
    goal(
      { goal: 'R7', name: `add and process ${waiting}, jobs/s`, backend: server.name },
      against(found.deep, found.shallow),
      atLeast(0.9, 0.75),
    ),
    look('counts'),
    look('the first page'),
    look('a page from the middle'),
  ];
}

export const run = (options: BenchOptions): Promise<Goal[]> =>
  onEachServer(options.backend, (server) => onServer(server, options));
