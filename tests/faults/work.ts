/** What a job of the harness does, the same for both sides; what differs is which tools its author has. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Work } from './plan.ts';
import type { Sink } from './sink-client.ts';

export interface WorkTools {
  readonly id: string;
  readonly claim: number;
  /** What a row of a database is guarded with; undefined where the author has no fence. */
  readonly fence: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** `skip`: nobody knows whether it happened and the receiver cannot tell, so leave it. */
  readonly once: <T>(key: string, effect: () => Promise<T>, whenUnknown?: 'repeat' | 'skip') => Promise<unknown>;
  readonly sink: Sink;
}

export async function work(job: Work, tools: WorkTools): Promise<void> {
  const { id, claim, sink, signal } = tools;
  await sink.send({ event: 'start', kind: 'hook', id, claim, key: job.key });
  switch (job.act) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      return wait(60_000);
    case 'block': {
      const until = Date.now() + job.ms;
      while (Date.now() < until);
      break;
    }
    case 'bomb':
    case 'work':
      await wait(job.ms / 2, undefined, signal === undefined ? {} : { signal });
  }
  await apply(job, tools);
  if (job.act === 'work') await wait(job.ms / 2, undefined, signal === undefined ? {} : { signal });
}

async function apply(job: Work, { id, claim, fence, once, sink }: WorkTools): Promise<void> {
  const mark = { id, claim, ...(fence === undefined ? {} : { fence }) };
  switch (job.effect) {
    case 'none':
      return;
    case 'mail':
      await once('mail', () => sink.send({ event: 'apply', kind: 'mail', key: `mail-${id}`, ...mark }), 'skip');
      return;
    case 'hook':
      await once('hook', () => sink.send({ event: 'apply', kind: 'hook', key: `hook-${id}`, ...mark }));
      return;
    case 'delta':
      // A database guards itself: the row knows the newest fence and whether it was written.
      if (fence !== undefined) await sink.send({ event: 'open', kind: 'delta', key: id, ...mark });
      await sink.send({ event: 'apply', kind: 'delta', key: id, ...mark });
  }
}
