import { defineHandler } from '../../../jobs/define.ts';
import { handle } from '../../side.ts';
import job from './job.ts';

export default defineHandler(job, { run: handle });
