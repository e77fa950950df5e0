/** One job's whole way: added by one of 100 callers, run by 50 at once. */
import { type Measured, perJob } from './rounds.ts';
import type { Server } from './servers.ts';
import { addBy, assertEmpty, drain, type Side, spent } from './side.ts';

export interface AddedAndRun {
  readonly add: Measured;
  readonly run: Measured;
}

/** The run is void unless every job ended well. */
export async function addAndRun(side: Side, server: Server, jobs: number): Promise<AddedAndRun> {
  await side.clear();
  const added = await spent(server, () => addBy(side, jobs, { callers: 100, perCall: 1 }));
  const ran = await drain(side, jobs, server);
  await assertEmpty(side);
  return { add: perJob(jobs, added.ms, added.cpuMicros), run: perJob(jobs, ran.ms, ran.cpuMicros) };
}
