import { defineHandler } from '../../../jobs/define.ts';
import { handlerHooks } from '../../hooks.ts';
import fairNoop from './job.ts';

export default defineHandler(fairNoop, {
  run: async (payload) => {
    handlerHooks.start(payload);
    handlerHooks.end();
    return null;
  },
});
