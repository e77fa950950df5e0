/** What the scheduled job types of the harness share: each run writes its row, under the id of its slot. */
import { z } from 'zod';
import type { Policy } from '../../jobs/policy.ts';
import { openSink, type Sink } from './sink-client.ts';

export const tickResult = z.object({ fence: z.number() });

export const tickPolicy = {
  attempts: 4,
  backoff: { baseMs: 100, maxMs: 200 },
  timeoutMs: 30_000,
  concurrency: 2,
} satisfies Partial<Policy>;

export const tickHandler = {
  env: z.object({ FAULTS_SINK: z.coerce.number() }),
  open: ({ FAULTS_SINK }: { readonly FAULTS_SINK: number }) => {
    const sink = openSink(FAULTS_SINK);
    return { sink, close: () => sink.close() };
  },
  async run(
    _payload: unknown,
    { id, fence }: { readonly id: string; readonly fence: number },
    { sink }: { readonly sink: Sink },
  ) {
    const mark = { kind: 'delta', id, key: id, claim: fence, fence } as const;
    await sink.send({ event: 'start', ...mark });
    await sink.send({ event: 'open', ...mark });
    await sink.send({ event: 'apply', ...mark });
    return { fence };
  },
};
