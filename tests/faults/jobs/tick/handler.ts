import { defineHandler } from '../../../../jobs/define.ts';
import { tickHandler } from '../../ticking.ts';
import tick from './job.ts';

export default defineHandler(tick, tickHandler);
