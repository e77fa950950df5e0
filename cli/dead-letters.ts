/** `jobfleet dead-letters`: what failed for good, grouped; put back to work, or thrown away. */
import { z } from 'zod';
import { evidenceLines } from '../backends/evidence.ts';
import { connect, type ServerFlags } from './connection.ts';
import { age, CliError, confirm, print, table } from './output.ts';

interface Flags extends ServerFlags {
  readonly json?: boolean;
}

/** What selects dead letters, beside their queue. */
interface Selection {
  readonly tenant?: string;
  readonly code?: string;
  readonly signature?: string;
  readonly from?: string;
  readonly to?: string;
}

/** An empty filter needs `--all`. */
interface ChangeFlags extends Flags, Selection {
  readonly id?: string[];
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly all?: boolean;
}

const groups = z.object({
  groups: z.array(
    z.looseObject({
      queue: z.string(),
      signature: z.string(),
      code: z.string(),
      count: z.number(),
      newestAt: z.string().optional(),
      sample: z.string().optional(),
    }),
  ),
});
const letters = z.object({
  items: z.array(
    z.looseObject({ id: z.string(), queue: z.string(), code: z.string(), message: z.string(), failedAt: z.string() }),
  ),
  cursor: z.string().nullish(),
});
const time = z.string().transform((text) => Date.parse(text));
const detail = z.object({
  id: z.string(),
  tenant: z.string(),
  code: z.string(),
  message: z.string(),
  attempts: z.number(),
  createdAt: z.string(),
  failedAt: z.string(),
  evidence: z.object({
    run: z.number(),
    failures: z.array(z.object({ code: z.string(), message: z.string(), at: time })),
    interruptions: z.number(),
    causes: z.array(z.object({ cause: z.enum(['crash', 'deploy', 'lease']), at: time })),
    deaths: z.number(),
    suspect: z.boolean(),
    fence: z.number(),
    effects: z.array(z.object({ key: z.string(), state: z.enum(['begun', 'done']) })),
  }),
  logs: z.array(z.string()),
});
const counted = z.looseObject({
  matched: z.number(),
  done: z.number(),
  refused: z.array(z.object({ id: z.string(), reason: z.string() })).default([]),
  cursor: z.string().nullish(),
});

export async function listDeadLetters(
  queue: string | undefined,
  flags: Flags & Selection & { readonly each?: boolean; readonly cursor?: string },
): Promise<void> {
  const server = await connect(flags);
  const query = new URLSearchParams(selected(queue, flags));
  if (flags.each !== true) {
    const answer = await server.call(groups, 'GET', `/v1/dead-letters/groups?${query.toString()}`);
    print(flags.json === true, answer, (it) =>
      table(
        ['jobs', 'queue', 'newest', 'error'],
        it.groups.map((group) => [group.count, group.queue, age(group.newestAt), group.signature]),
        'No dead letters.',
      ),
    );
    return;
  }
  if (flags.cursor !== undefined) query.set('cursor', flags.cursor);
  const answer = await server.call(letters, 'GET', `/v1/dead-letters?${query.toString()}`);
  print(flags.json === true, answer, (it) => {
    const rows = it.items.map((letter) => [
      letter.id,
      age(letter.failedAt),
      letter.code,
      letter.message.split('\n')[0]?.slice(0, 80),
    ]);
    const more = typeof it.cursor === 'string' ? `\nMore: --cursor ${it.cursor}` : '';
    return table(['id', 'age', 'code', 'message'], rows, 'No dead letters.') + more;
  });
}

export async function showDeadLetter(id: string, flags: Flags & { readonly queue?: string }): Promise<void> {
  const server = await connect(flags);
  const query = new URLSearchParams(flags.queue === undefined ? {} : { queue: flags.queue });
  const path = `/v1/dead-letters/${encodeURIComponent(id)}?${query.toString()}`;
  print(flags.json === true, await server.call(z.looseObject({}), 'GET', path), (it) => detailText(detail.parse(it)));
}

function detailText({ evidence, logs, ...letter }: z.output<typeof detail>): string {
  const { id, tenant, code, message, attempts, createdAt, failedAt } = letter;
  return [
    `${id}: ${code}: ${message}`,
    `accepted ${createdAt}, failed ${failedAt}, ${attempts} attempts, tenant ${tenant}`,
    ...evidenceLines(evidence),
    ...logs.map((line) => `log: ${line}`),
  ].join('\n');
}

export async function redrive(queue: string | undefined, flags: ChangeFlags): Promise<void> {
  await change('redrive', queue, flags, (count) => `${count} dead letters would go back to work`);
}

export async function discard(queue: string | undefined, flags: ChangeFlags): Promise<void> {
  await change('discard', queue, flags, (count) => `${count} dead letters would be removed for good`);
}

async function change(
  verb: 'redrive' | 'discard',
  queue: string | undefined,
  flags: ChangeFlags,
  sentence: (count: number) => string,
): Promise<void> {
  const filter = { ...selected(queue, flags), ...(flags.id === undefined ? {} : { ids: flags.id }) };
  if (Object.keys(filter).length === 0 && flags.all !== true) {
    throw new CliError('Name a queue or say which (--id, --code, --tenant …), or say --all for every dead letter.', 2);
  }
  const server = await connect(flags);
  const plan = await server.call(counted, 'POST', `/v1/dead-letters/${verb}`, { filter, dryRun: true });
  if (flags.dryRun === true || plan.matched === 0) {
    print(flags.json === true, plan, (it) => `${sentence(it.matched)}.`);
    return;
  }
  await confirm(sentence(plan.matched), flags.yes === true);
  const answer = await pageByPage((cursor) =>
    server.call(counted, 'POST', `/v1/dead-letters/${verb}`, { filter, cursor }),
  );
  print(flags.json === true, answer, (it) => {
    const refused = it.refused.map((one) => `\n  ${one.id}: ${one.reason}`).join('');
    return `${it.done} of ${it.matched} ${verb === 'redrive' ? 'redriven' : 'discarded'}.${refused}`;
  });
}

function selected(queue: string | undefined, { tenant, code, signature, from, to }: Selection): Record<string, string> {
  const given = Object.entries({ queue, tenant, code, signature, from, to });
  return Object.fromEntries(given.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** A call ends after a while; the next one goes on behind it. */
async function pageByPage(
  call: (cursor: string | undefined) => Promise<z.output<typeof counted>>,
): Promise<z.output<typeof counted>> {
  let all = await call(undefined);
  while (typeof all.cursor === 'string') {
    const next = await call(all.cursor);
    all = { ...next, matched: all.matched, done: all.done + next.done, refused: [...all.refused, ...next.refused] };
  }
  return all;
}
