import { defineHandler } from '../../../../jobs/define.ts';
import { tickHandler } from '../../ticking.ts';
import tickOnce from './job.ts';

export default defineHandler(tickOnce, tickHandler);
