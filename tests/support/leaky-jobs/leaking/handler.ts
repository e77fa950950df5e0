import { defineHandler } from '../../../../jobs/define.ts';
import { giveUp } from '../../../../jobs/errors.ts';
import job from './job.ts';

export default defineHandler(job, {
  async run({ end, text, fields }, ctx) {
    ctx.log(`a line about ${text}`, { ...fields, note: text }, 'warn');
    ctx.progress(50, `half of ${text}`);
    if (end === 'failed') throw giveUp('BAD_SOURCE', `cannot use ${text}`, { cause: new Error(`because of ${text}`) });
    return { text, fields };
  },
});
