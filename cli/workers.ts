/** `jobfleet workers`: which processes run jobs, and how many at once. */
import { userInfo } from 'node:os';
import { z } from 'zod';
import { connect, type ServerFlags } from './connection.ts';
import { age, CliError, print, table } from './output.ts';

interface Flags extends ServerFlags {
  readonly json?: boolean;
}

const listed = z.object({
  workers: z.array(
    z.looseObject({
      host: z.string(),
      pid: z.number(),
      version: z.string(),
      startedAt: z.string(),
      active: z.number(),
      p50Ms: z.number().nullable(),
      p95Ms: z.number().nullable(),
      memoryMb: z.number(),
      reason: z.string().nullable(),
      queues: z.array(z.looseObject({ queue: z.string(), concurrency: z.number() })),
    }),
  ),
});

const queuesShown = 4;

export async function listWorkers(flags: Flags): Promise<void> {
  const server = await connect(flags);
  const answer = await server.call(listed, 'GET', '/v1/workers');
  print(flags.json === true, answer, ({ workers }) => {
    const rows = workers.map((one) => [
      `${one.host}:${one.pid}`,
      one.version,
      age(one.startedAt),
      one.active,
      one.p50Ms === null ? '' : `${one.p50Ms} / ${one.p95Ms}`,
      one.memoryMb,
      queuesInWords(one.queues),
      one.reason === null ? 'claims' : `claims nothing: ${one.reason}`,
    ]);
    const versions = new Set(workers.map(({ version }) => version));
    const mixed = versions.size > 1 ? `\nReleases differ: ${[...versions].toSorted().join(', ')}.` : '';
    const head = ['worker', 'release', 'up', 'runs', 'p50 / p95 ms', 'MB', 'queues (at once)', ''];
    return table(head, rows, 'No workers. Start one with `jobfleet worker`.') + mixed;
  });
}

function queuesInWords(queues: readonly { readonly queue: string; readonly concurrency: number }[]): string {
  const shown = queues.slice(0, queuesShown).map(({ queue, concurrency }) => `${queue} ${concurrency}`);
  const more = queues.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

export async function tuneWorkers(
  queue: string,
  count: string,
  flags: Flags & { readonly by?: string },
): Promise<void> {
  if (count !== 'default' && !/^[1-9]\d{0,3}$/.test(count))
    throw new CliError(`Expected a number from 1 to 1000, or "default", got "${count}".`, 2);
  const concurrency = count === 'default' ? null : Number(count);
  const server = await connect(flags);
  const body = { queue, concurrency, by: flags.by ?? userInfo().username };
  const answer = await server.call(z.looseObject({ queue: z.string() }), 'POST', '/v1/workers/tune', body);
  const said = concurrency === null ? 'as many at once as it would by itself' : `${concurrency} at once`;
  print(flags.json === true, answer, (it) => `Each worker runs ${said} of ${it.queue}, within five seconds.`);
}
