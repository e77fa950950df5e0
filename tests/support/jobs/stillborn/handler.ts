import { defineHandler } from '../../../../jobs/define.ts';
import job from './job.ts';

process.stderr.write('the library of this handler is not installed\n');
process.exit(3);

export default defineHandler(job, { run: async () => ({}) });
