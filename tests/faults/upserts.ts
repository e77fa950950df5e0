/** Several instances that declare twenty schedules at the same moment, round after round, while three of them tick. */
import { openBackend } from '../../backends/open.ts';
import { tickJobId } from '../../backends/slot-id.ts';
import { nextTick } from '../../runtime/cron.ts';
import type { Arena } from './arena.ts';
import { keptCrons } from './schedules.ts';

/** One worker is killed in the middle of every so manieth round. */
const killEvery = 10;

/** Answers sentences about rounds that went wrong. */
export async function upsertRounds(arena: Arena, rounds: number): Promise<string[]> {
  const problems: string[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const ready = arena.workers.filter(({ isReady, isLeaving }) => isReady && !isLeaving);
    const answers = ready.map((worker) => arena.ask(worker, { declare: round }));
    const victim = round % killEvery === 0 ? arena.pick() : undefined;
    if (victim !== undefined) await arena.kill(victim);
    const said = (await Promise.all(answers)).filter((problem) => problem !== undefined);
    problems.push(...said.map((problem) => `round ${round}: ${problem}`));
  }
  return problems;
}

/** What the store holds after the last round: each schedule once, with the newest rule, its next job and no other. */
export async function judgeUpserts(url: string, round: number): Promise<string[]> {
  const backend = await openBackend(url, { onError: () => undefined });
  const problems: string[] = [];
  try {
    for (const [type, rule] of keptCrons(round)) {
      const queue = backend.queue(type);
      const [schedulers, jobs] = await Promise.all([queue.getJobSchedulers(), queue.getJobs(['delayed', 'waiting'])]);
      const [only] = schedulers;
      const next = nextTick(rule, Date.now());
      const isRight =
        schedulers.length === 1 && only?.pattern === rule.cron && only.tz === rule.timeZone && only.next === next;
      if (!isRight) problems.push(`${type}: ${JSON.stringify(schedulers)}, expected ${rule.cron}, next ${next}`);
      const ids = jobs.map(({ id }) => id);
      if (ids.length !== 1 || ids[0] !== tickJobId(type, next ?? 0))
        problems.push(`${type}: jobs ${ids.join(', ')}, expected the one of ${next}`);
    }
  } finally {
    await backend.close();
  }
  return problems;
}
