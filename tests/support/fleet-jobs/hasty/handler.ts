import { defineHandler } from '../../../../jobs/define.ts';
import { act } from '../acts.ts';
import job from './job.ts';

export default defineHandler(job, { run: act });
