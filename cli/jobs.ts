/** `jobfleet jobs`: list, show, cancel. */
import { z } from 'zod';
import { connect, type ServerFlags } from './connection.ts';
import { age, print, table } from './output.ts';

interface Flags extends ServerFlags {
  readonly json?: boolean;
}

const row = z.looseObject({
  id: z.string(),
  type: z.string(),
  status: z.string(),
  attempt: z.number(),
  maxAttempts: z.number(),
  createdAt: z.string(),
});
const page = z.object({ items: z.array(row), cursor: z.string().nullish(), complete: z.boolean().optional() });

export async function listJobs(
  flags: Flags & {
    readonly queue?: string;
    readonly status?: string;
    readonly limit?: string;
    readonly cursor?: string;
  },
): Promise<void> {
  const server = await connect(flags);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({
    queue: flags.queue,
    status: flags.status,
    limit: flags.limit,
    cursor: flags.cursor,
  })) {
    if (value !== undefined) query.set(name, value);
  }
  const answer = await server.call(page, 'GET', `/v1/jobs?${query.toString()}`);
  print(flags.json === true, answer, (it) => {
    const rows = it.items.map((job) => [
      job.id,
      job.status,
      `${job.attempt} of ${job.maxAttempts}`,
      age(job.createdAt),
    ]);
    const more = typeof it.cursor === 'string' ? `\nMore: --cursor ${it.cursor}` : '';
    return table(['id', 'status', 'attempt', 'age'], rows, 'No jobs.') + more;
  });
}

export async function showJob(id: string, flags: Flags): Promise<void> {
  const server = await connect(flags);
  const answer = await server.call(z.looseObject({}), 'GET', `/v1/jobs/${encodeURIComponent(id)}`);
  print(flags.json === true, answer, (it) => JSON.stringify(it, null, 2));
}

export async function cancelJob(id: string, flags: Flags): Promise<void> {
  const server = await connect(flags);
  const answer = await server.call(
    z.looseObject({ status: z.string() }),
    'DELETE',
    `/v1/jobs/${encodeURIComponent(id)}`,
  );
  print(flags.json === true, answer, (it) => `${id} ${it.status}`);
}
