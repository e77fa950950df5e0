import { defineHandler } from '../../../../jobs/define.ts';
import { explode } from './bombs.ts';
import caged from './job.ts';

/** Enough to notice a neighbour that takes the processor. */
function compute(ms: number): void {
  const until = process.cpuUsage().user + ms * 1_000;
  while (process.cpuUsage().user < until);
}

export default defineHandler(caged, {
  async run({ key, act, ms }, { fence, folder }) {
    if (act === 'bomb') await explode(Number(key.slice(key.indexOf('-') + 1)), folder);
    compute(ms);
    return { fence };
  },
});
