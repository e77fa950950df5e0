import { defineHandler } from '../../../../jobs/define.ts';
import { explode } from './bombs.ts';
import caged from './job.ts';

/** What a bomb answers need not be one. */
type Result = { readonly fence: number };

/** Enough to notice a neighbour that takes the processor. */
function compute(ms: number): void {
  const until = process.cpuUsage().user + ms * 1_000;
  while (process.cpuUsage().user < until);
}

export default defineHandler(caged, {
  async run({ key, act, ms }, { fence, folder, signal }) {
    if (act === 'bomb')
      return (await explode(Number(key.slice(key.indexOf('-') + 1)), folder, fence, signal)) as Result;
    compute(ms);
    return { fence };
  },
});
