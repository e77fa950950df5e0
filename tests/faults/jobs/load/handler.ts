import { z } from 'zod';
import { defineHandler } from '../../../../jobs/define.ts';
import { openSink } from '../../sink-client.ts';
import { work } from '../../work.ts';
import load from './job.ts';

export default defineHandler(load, {
  env: z.object({ FAULTS_SINK: z.coerce.number() }),
  open: ({ FAULTS_SINK }) => {
    const sink = openSink(FAULTS_SINK);
    return { sink, close: () => sink.close() };
  },
  async run(payload, { id, fence, signal, once }, { sink }) {
    await work(payload, { id, claim: fence, fence, signal, once, sink });
    return { fence };
  },
});
