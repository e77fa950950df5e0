import { z } from 'zod';
import { defineHandler } from '../../../../jobs/define.ts';
import { openSink } from '../../sink-client.ts';
import tick from './job.ts';

export default defineHandler(tick, {
  env: z.object({ FAULTS_SINK: z.coerce.number() }),
  open: ({ FAULTS_SINK }) => {
    const sink = openSink(FAULTS_SINK);
    return { sink, close: () => sink.close() };
  },
  async run(_payload, { id, fence }, { sink }) {
    const mark = { kind: 'delta', id, key: id, claim: fence, fence } as const;
    await sink.send({ event: 'start', ...mark });
    await sink.send({ event: 'open', ...mark });
    await sink.send({ event: 'apply', ...mark });
    return { fence };
  },
});
