/** `jobfleet jobs`: list and search, show, edit, cancel. */
import { z } from 'zod';
import { connect, type ServerFlags } from './connection.ts';
import { age, CliError, print, table } from './output.ts';

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
    readonly tenant?: string;
    readonly code?: string;
    readonly text?: string;
    readonly from?: string;
    readonly to?: string;
    readonly limit?: string;
    readonly cursor?: string;
  },
): Promise<void> {
  const server = await connect(flags);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({
    queue: flags.queue,
    status: flags.status,
    tenant: flags.tenant,
    code: flags.code,
    text: flags.text,
    from: flags.from,
    to: flags.to,
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
    const part = it.complete === false ? '\nNot everything was looked at.' : '';
    return table(['id', 'status', 'attempt', 'age'], rows, 'No jobs.') + part + more;
  });
}

export async function showJob(id: string, flags: Flags): Promise<void> {
  const server = await connect(flags);
  const answer = await server.call(z.looseObject({}), 'GET', `/v1/jobs/${encodeURIComponent(id)}`);
  print(flags.json === true, answer, (it) => JSON.stringify(it, null, 2));
}

export async function editJob(
  id: string,
  flags: Flags & {
    readonly patch?: string;
    readonly payload?: string;
    readonly delay?: string;
    readonly level?: string;
  },
): Promise<void> {
  const change = {
    ...(flags.patch === undefined ? {} : { patch: readJson(flags.patch, '--patch') }),
    ...(flags.payload === undefined ? {} : { payload: readJson(flags.payload, '--payload') }),
    ...(flags.delay === undefined ? {} : { delayMs: Math.round(Number(flags.delay) * 1_000) }),
    ...(flags.level === undefined ? {} : { level: flags.level }),
  };
  const server = await connect(flags);
  const answer = await server.call(
    z.looseObject({ status: z.string() }),
    'PATCH',
    `/v1/jobs/${encodeURIComponent(id)}`,
    change,
  );
  print(flags.json === true, answer, (it) => `${id} is changed and ${it.status}`);
}

function readJson(text: string, option: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError(`${option} is not JSON: ${error instanceof Error ? error.message : String(error)}`, 2);
  }
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
