import { defineHandler } from '../../../jobs/define.ts';
import { handlerHooks } from '../../hooks.ts';
import noop from './job.ts';

export default defineHandler(noop, {
  run: async (payload) => {
    handlerHooks.start(payload);
    if (handlerHooks.work !== undefined) await handlerHooks.work();
    handlerHooks.end();
    return null;
  },
});
