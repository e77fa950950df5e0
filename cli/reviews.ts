/** `jobfleet reviews`: what a person has to look at, and what that person says. */
import { userInfo } from 'node:os';
import { z } from 'zod';
import { connect, type ServerFlags } from './connection.ts';
import { age, CliError, print, table } from './output.ts';

interface Flags extends ServerFlags {
  readonly json?: boolean;
}

interface DecisionFlags extends Flags {
  readonly by?: string;
}

const review = z.looseObject({
  id: z.string(),
  queue: z.string(),
  state: z.string(),
  openedAt: z.string(),
  confidence: z.number(),
  issues: z.array(z.string()),
  by: z.string().nullable(),
  decidedAt: z.string().nullable(),
});
const page = z.object({ items: z.array(review), cursor: z.string().nullable() });
const shown = review.extend({
  data: z.record(z.string(), z.unknown()).nullable(),
  corrected: z.record(z.string(), z.unknown()).nullable(),
  files: z.array(z.object({ url: z.string() })),
});

export async function listReviews(
  flags: Flags & {
    readonly queue?: string;
    readonly tenant?: string;
    readonly limit?: string;
    readonly cursor?: string;
  },
): Promise<void> {
  const { queue, tenant, limit, cursor } = flags;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ queue, tenant, limit, cursor }))
    if (value !== undefined) query.set(name, value);
  const server = await connect(flags);
  const answer = await server.call(page, 'GET', `/v1/reviews?${query.toString()}`);
  print(flags.json === true, answer, (it) => {
    const rows = it.items.map((one) => [
      one.id,
      age(one.openedAt),
      one.confidence.toFixed(2),
      one.issues.join(', ').slice(0, 80),
    ]);
    const more = it.cursor === null ? '' : `\nMore: --cursor '${it.cursor}'`;
    return table(['id', 'age', 'confidence', 'issues'], rows, 'No open reviews.') + more;
  });
}

export async function showReview(id: string, flags: Flags): Promise<void> {
  const server = await connect(flags);
  const answer = await server.call(shown, 'GET', `/v1/reviews/${encodeURIComponent(id)}`);
  print(flags.json === true, answer, (it) =>
    [
      inWords(it),
      ...(it.issues.length === 0 ? [] : [`issues: ${it.issues.join(', ')}`]),
      JSON.stringify(it.corrected ?? it.data, null, 2),
      ...it.files.map(({ url }, place) => `page ${place + 1}: ${url}`),
    ].join('\n'),
  );
}

export async function approveReview(id: string, flags: DecisionFlags): Promise<void> {
  await decide(id, flags, { decision: 'approve' });
}

export async function editReview(id: string, flags: DecisionFlags & { readonly data: string }): Promise<void> {
  let data: unknown;
  try {
    data = JSON.parse(flags.data);
  } catch (error) {
    throw new CliError(`--data: expected a JSON object, got ${flags.data.slice(0, 80)}`, 2, { cause: error });
  }
  await decide(id, flags, { decision: 'edit', data });
}

async function decide(id: string, flags: DecisionFlags, said: object): Promise<void> {
  const server = await connect(flags);
  const body = { ...said, by: flags.by ?? userInfo().username };
  const answer = await server.call(review, 'POST', `/v1/jobs/${encodeURIComponent(id)}/review`, body);
  print(flags.json === true, answer, inWords);
}

function inWords({ id, state, openedAt, confidence, by, decidedAt }: z.output<typeof review>): string {
  if (decidedAt === null) return `${id} is open for ${age(openedAt)}, confidence ${confidence.toFixed(2)}`;
  return `${id} was ${state} by ${by ?? 'somebody'} ${age(decidedAt)} ago`;
}
