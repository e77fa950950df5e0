/**
 * R7: a backlog does not cost. Closed loop: a number of jobs wait, every handler enqueues one more, 50 at once; the rate with
 * a deep backlog beside the rate with 1,000 waiting jobs, in turn.
 */
import { type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import { handlerHooks } from './hooks.ts';
import { onEachServer, type Server } from './servers.ts';
import { openOurs, type Side } from './sides.ts';

const shallow = 1_000;

/** Jobs a second while `depth` jobs wait all the time. */
async function rate(side: Side, depth: number, count: number): Promise<number> {
  await side.clear();
  await side.fill(depth);
  let index = 0;
  handlerHooks.work = () => side.add((index += 1));
  const { ms } = await side.drain(count);
  handlerHooks.work = undefined;
  return (count / ms) * 1_000;
}

async function onServer(server: Server, quick: boolean): Promise<Goal[]> {
  const deep = server.name === 'redis' ? (quick ? 50_000 : 200_000) : quick ? 10_000 : 50_000;
  const count = server.name === 'redis' ? (quick ? 5_000 : 20_000) : quick ? 1_500 : 5_000;
  const side = await openOurs(server);
  await rate(side, shallow, Math.min(shallow, count)); // warm-up
  const rounds: Round[] = [];
  for (let round = 0; round < (quick ? 2 : 3); round += 1) {
    const first = await rate(side, round % 2 === 0 ? deep : shallow, count);
    const second = await rate(side, round % 2 === 0 ? shallow : deep, count);
    const [ours, theirs] = round % 2 === 0 ? [first, second] : [second, first];
    rounds.push({ ours, theirs });
  }
  await side.clear();
  await side.close();
  const name = `add and process with ${deep} waiting against ${shallow} waiting, jobs/s`;
  return [goal({ goal: 'R7', name, backend: server.name }, rounds)];
}

export const run = ({ quick, backend }: BenchOptions): Promise<Goal[]> =>
  onEachServer(backend, (server) => onServer(server, quick));
