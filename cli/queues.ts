/** `jobfleet queues`: how much is where; pause and resume a queue, all of them, or a tenant. */
import { userInfo } from 'node:os';
import { z } from 'zod';
import { connect, type ServerFlags } from './connection.ts';
import { age, CliError, print, table } from './output.ts';

interface Flags extends ServerFlags {
  readonly json?: boolean;
}

interface Target {
  readonly all?: boolean;
  readonly tenant?: string;
}

interface PauseFlags extends Flags, Target {
  readonly reason: string;
  readonly by?: string;
  readonly for?: string;
  readonly until?: string;
}

const paused = z.object({
  by: z.string(),
  reason: z.string(),
  since: z.string().nullable(),
  until: z.string().nullable(),
});
type Paused = z.output<typeof paused>;

const listed = z.object({
  queues: z.array(
    z.looseObject({
      queue: z.string(),
      counts: z.record(z.string(), z.number()),
      paused: paused.nullable(),
      concurrency: z.number().nullable(),
    }),
  ),
  pausedTenants: z.array(paused.extend({ tenant: z.string() })),
});

export async function listQueues(flags: Flags): Promise<void> {
  const server = await connect(flags);
  const answer = await server.call(listed, 'GET', '/v1/queues');
  const states = ['waiting', 'delayed', 'active', 'completed', 'failed'];
  print(flags.json === true, answer, (it) => {
    const rows = it.queues.map((queue) => [queue.queue, ...states.map((state) => queue.counts[state] ?? 0)]);
    const notes = [
      ...it.queues.flatMap((one) => (one.paused === null ? [] : [`${one.queue} is paused ${inWords(one.paused)}`])),
      ...it.pausedTenants.map((one) => `tenant ${one.tenant} is paused ${inWords(one)}`),
      ...it.queues.flatMap(({ queue, concurrency }) =>
        concurrency === null ? [] : [`${queue} runs ${concurrency} at once in each worker (set by hand)`],
      ),
    ];
    return [table(['queue', ...states], rows, 'No queues.'), ...notes].join('\n');
  });
}

function inWords({ by, reason, since, until }: Paused): string {
  const from = since === null ? '' : ` for ${age(since)}`;
  const to = until === null ? '' : `, until ${until}`;
  return `by ${by}${from}${to}: ${reason}`;
}

export async function pauseQueue(queue: string | undefined, flags: PauseFlags): Promise<void> {
  const target = targetOf(queue, flags);
  const server = await connect(flags);
  const body = {
    reason: flags.reason,
    by: flags.by ?? userInfo().username,
    ...(flags.for === undefined ? {} : { forMs: milliseconds(flags.for) }),
    ...(flags.until === undefined ? {} : { until: flags.until }),
  };
  const answer = await server.call(z.looseObject({ paused }), 'POST', `${target.path}/pause`, body);
  print(
    flags.json === true,
    answer,
    (it) => `${target.name} ${target.verb} paused ${inWords(it.paused)}. What runs goes on to its end.`,
  );
}

export async function resumeQueue(queue: string | undefined, flags: Flags & Target): Promise<void> {
  const target = targetOf(queue, flags);
  const server = await connect(flags);
  const answer = await server.call(z.looseObject({}), 'POST', `${target.path}/resume`);
  print(flags.json === true, answer, () => `${target.name} ${target.verb} not paused.`);
}

function targetOf(queue: string | undefined, { all, tenant }: Target) {
  const named = [queue, tenant, all].filter((one) => one !== undefined);
  if (named.length !== 1) throw new CliError('Name one of: a queue, --tenant <name>, --all (every queue).', 2);
  if (all === true) return { path: '/v1/fleet', name: 'All queues', verb: 'are' };
  if (tenant !== undefined)
    return { path: `/v1/tenants/${encodeURIComponent(tenant)}`, name: `Tenant ${tenant}`, verb: 'is' };
  return { path: `/v1/queues/${encodeURIComponent(queue ?? '')}`, name: queue ?? '', verb: 'is' };
}

const unitsMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `90s`, `10m`, `2h`, `7d`. */
export function milliseconds(text: string): number {
  const [, count, unit] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? [];
  const found = Object.entries(unitsMs).find(([name]) => name === unit);
  if (count === undefined || found === undefined)
    throw new CliError(`--for ${text}: expected a number and s, m, h or d, such as 30m.`, 2);
  return Number(count) * found[1];
}
