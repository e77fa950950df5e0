import { defineHandler } from '../../../../jobs/define.ts';
import { tickHandler } from '../../ticking.ts';
import tickSkip from './job.ts';

export default defineHandler(tickSkip, tickHandler);
