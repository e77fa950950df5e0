/** `jobfleet dead-letters`: what failed for good, grouped; put back to work, or thrown away. */
import { z } from 'zod';
import { connect, type ServerFlags } from './connection.ts';
import { age, CliError, confirm, print, table } from './output.ts';

interface Flags extends ServerFlags {
  readonly json?: boolean;
}

/** What selects dead letters; an empty filter needs `--all`. */
export interface FilterFlags extends Flags {
  readonly code?: string;
  readonly signature?: string;
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
const counted = z.looseObject({
  matched: z.number(),
  done: z.number(),
  refused: z.array(z.object({ id: z.string(), reason: z.string() })).default([]),
  complete: z.boolean().default(true),
});

export async function listDeadLetters(
  flags: Flags & { readonly queue?: string; readonly each?: boolean; readonly cursor?: string },
): Promise<void> {
  const server = await connect(flags);
  const query = new URLSearchParams(flags.queue === undefined ? {} : { queue: flags.queue });
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

export async function redrive(queue: string | undefined, flags: FilterFlags): Promise<void> {
  await change('redrive', queue, flags, (count) => `${count} dead letters would go back to work`);
}

export async function discard(queue: string | undefined, flags: FilterFlags): Promise<void> {
  await change('discard', queue, flags, (count) => `${count} dead letters would be removed for good`);
}

async function change(
  verb: 'redrive' | 'discard',
  queue: string | undefined,
  flags: FilterFlags,
  sentence: (count: number) => string,
): Promise<void> {
  const filter = {
    ...(queue === undefined ? {} : { queue }),
    ...(flags.code === undefined ? {} : { code: flags.code }),
    ...(flags.signature === undefined ? {} : { signature: flags.signature }),
    ...(flags.id === undefined ? {} : { ids: flags.id }),
  };
  if (Object.keys(filter).length === 0 && flags.all !== true) {
    throw new CliError('Name a queue, --code, --signature or --id, or say --all for every dead letter.', 2);
  }
  const server = await connect(flags);
  const plan = await server.call(counted, 'POST', `/v1/dead-letters/${verb}`, { filter, dryRun: true });
  if (flags.dryRun === true || plan.matched === 0) {
    print(flags.json === true, plan, (it) => `${sentence(it.matched)}.`);
    return;
  }
  await confirm(sentence(plan.matched), flags.yes === true);
  const answer = await pageByPage(() =>
    server.call(counted, 'POST', `/v1/dead-letters/${verb}`, { filter, dryRun: false }),
  );
  print(flags.json === true, answer, (it) => {
    const refused = it.refused.map((one) => `\n  ${one.id}: ${one.reason}`).join('');
    return `${it.done} of ${it.matched} ${verb === 'redrive' ? 'redriven' : 'discarded'}.${refused}`;
  });
}

/** A call ends after a while; the next one takes up the rest. What fails again meanwhile is not taken up. */
async function pageByPage(call: () => Promise<z.output<typeof counted>>): Promise<z.output<typeof counted>> {
  const first = await call();
  let all = first;
  for (let last = first; !last.complete && last.done > 0 && all.done + all.refused.length < first.matched; ) {
    last = await call();
    all = { ...last, matched: first.matched, done: all.done + last.done, refused: [...all.refused, ...last.refused] };
  }
  return all;
}
