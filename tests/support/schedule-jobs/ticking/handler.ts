import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { defineHandler } from '../../../../jobs/define.ts';
import { giveUp } from '../../../../jobs/errors.ts';
import job from './job.ts';

/** Every run leaves `started/<id>/<fence>`, every run that ends well `ended/<id>/<fence>`. */
export default defineHandler(job, {
  async run({ ms, fail }, { fence, folder, id, objects, signal }) {
    const leave = async (what: string): Promise<void> => {
      const path = join(folder, what);
      await writeFile(path, 'x');
      await objects.put(`${what}/${id}/${fence}`, path, 'text/plain');
    };
    const from = Date.now();
    await leave('started');
    await wait(ms, undefined, { signal });
    if (fail) throw giveUp('BAD_SOURCE', 'told to fail');
    await leave('ended');
    return { fence, from, to: Date.now() };
  },
});
