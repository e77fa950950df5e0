import { defineHandler } from '../../../jobs/define.ts';
import noop from './job.ts';

export default defineHandler(noop, { run: async () => null });
