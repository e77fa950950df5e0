import { defineHandler } from '../../../jobs/define.ts';
import { handlerHooks } from '../../hooks.ts';
import noop from './job.ts';

export default defineHandler(noop, {
  run: async () => {
    handlerHooks.start();
    handlerHooks.end();
    return null;
  },
});
