/**
 * `docs/jobs/<name>.md`, one page a job type: between the markers `contract` and `running` stands what the code decides,
 * and what people write between and after those two stays as it is. A page that is missing is made.
 */
import { readdir, readFile } from 'node:fs/promises';
import { inspect } from 'node:util';
import { z } from 'zod';
import type { Job } from '../../jobs/define.ts';
import { jobCodes } from '../../jobs/errors.ts';
import type { Limits, Policy } from '../../jobs/policy.ts';
import type { Registry } from '../../jobs/registry.ts';
import { table, variableRows } from './markdown.ts';
import { fileField, type Shape, shapesOf } from './schema-table.ts';

const root = new URL('../../', import.meta.url);

/** The two generated parts of the page of a type, by their marker. */
export async function jobPageParts(registry: Registry, job: Job): Promise<ReadonlyMap<string, string>> {
  const { env } = await registry.handler(job.name);
  const payload = await newestPayload(job.name);
  return new Map([
    ['contract', contract(job)],
    ['running', [limits(job), await codes(job), variables(env), examples(job, payload)].join('\n\n')],
  ]);
}

/** A page for a type that has none. */
export function newJobPage(name: string): string {
  const marked = (part: string) => `<!-- ${part} -->\n<!-- /${part} -->\n`;
  return `# ${name}\n\n${marked('contract')}\n${marked('running')}`;
}

function contract(job: Job): string {
  const also = job.aliases.map((alias) => `\`${alias}\``).join(', ');
  return [
    `${job.summary}${also === '' ? '' : ` The API and the command line also take ${also}.`}`,
    '## Payload',
    ...shapesOf(job.payload, 'input').map((shape) => fields(shape, ['field', 'type', 'default', 'meaning'])),
    '## Result',
    ...shapesOf(job.result, 'output').map((shape) => fields(shape, ['field', 'type', 'always', 'meaning'])),
  ].join('\n\n');
}

function fields({ name, rows }: Shape, head: readonly string[]): string {
  const isResult = head.includes('always');
  const cells = rows.map(({ field, type, presence, meaning }) => [
    `\`${field}\``,
    type,
    isResult ? (presence === 'required' ? 'yes' : 'no') : presence,
    meaning,
  ]);
  return `${name === undefined ? '' : `With \`${name}\`:\n\n`}${table(head, cells)}`;
}

function limits(job: Job): string {
  const { policy, schedule } = job;
  const { attempts, backoff, timeoutMs, concurrency, order, maxAgeMs } = policy;
  const rows = [
    ['attempts', `${attempts}; ${time(backoff.baseMs)} doubled, at most ${time(backoff.maxMs)}, full jitter`],
    ['time limit', `${time(timeoutMs)} an attempt`],
    ['at the same time', `${concurrency} in one worker process`],
    ['runs', runs(policy)],
    ['turns', order === 'fair' ? 'fair between tenants, with levels' : 'first come, first served'],
    ...(['perQueue', 'perTenant', 'perKey'] as const).flatMap((of) => limitRow(of, policy[of])),
    ['dead letter `EXPIRED` after', time(maxAgeMs)],
    ...(job.uniqueKey === undefined
      ? []
      : [['unique', 'while one with the same key waits or runs, an add answers with it']]),
    ...(job.limitKey === undefined ? [] : [['`limitKey`', 'set: `perKey` counts by it']]),
    ...(schedule === undefined
      ? []
      : [
          [
            'schedule',
            `\`${schedule.cron}\` (${schedule.timeZone}): \`${JSON.stringify(schedule.payload)}\`${schedule.tenants === undefined ? '' : `, for each tenant with \`${schedule.tenants}\``}`,
          ],
        ]),
  ];
  return `## Limits\n\n${table(['limit', 'value'], rows)}`;
}

function runs({ isolation, child }: Policy): string {
  if (isolation === 'none') return 'in the worker';
  return `in a process of its own: ${child.memoryMb} MB of memory, ${child.diskMb} MB of files, ${child.cpuSeconds} s of CPU, ${child.processes} processes`;
}

function limitRow(of: string, { concurrency, rate }: Limits): string[][] {
  const parts = [
    ...(concurrency === undefined ? [] : [`${concurrency} at the same time in the fleet`]),
    ...(rate === undefined ? [] : [`${rate.points} in ${time(rate.windowMs)}`]),
  ];
  return parts.length === 0 ? [] : [[`\`${of}\``, parts.join('; ')]];
}

function time(ms: number): string {
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ] as const)
    if (ms >= size && ms % size === 0) return `${ms / size} ${unit}`;
  return `${ms} ms`;
}

async function codes(job: Job): Promise<string> {
  const sources = await reachable(new URL(`jobs/${job.name}/handler.ts`, root));
  const isChild = job.policy.isolation === 'child';
  const thrown = new Set<string>(['PAYLOAD_INVALID']);
  const foreign = new Set<string>();
  for (const text of sources) {
    for (const [, code = ''] of text.matchAll(/'([A-Z][A-Z_]+)'/g)) if (code in jobCodes) thrown.add(code);
    for (const [, kind = ''] of text.matchAll(/`(HTTP|SMTP)_\$\{/g)) foreign.add(`\`${kind}_<status>\``);
  }
  if (fileField(job.payload) !== undefined)
    for (const code of ['BAD_SOURCE', 'FORBIDDEN_TARGET', 'LIMIT_EXCEEDED', 'NETWORK']) thrown.add(code);
  for (const code of isChild ? ['SANDBOX_CRASH', 'SANDBOX_OOM', 'SANDBOX_TIMEOUT'] : ['TIMED_OUT']) thrown.add(code);
  const rows = Object.entries(jobCodes).flatMap(([code, text]) => (thrown.has(code) ? [[`\`${code}\``, text]] : []));
  const also = foreign.size === 0 ? '' : ` and ${[...foreign].toSorted().join(', ')}, another server's own answer`;
  return `## Codes\n\n${table(['code', 'meaning and what to do'], rows)}\n\nBesides these the ones of every job${also}: [errors](../errors.md).`;
}

/** The texts of a handler and of what it imports below `jobs/`, without the files that all types share and other types' doors. */
async function reachable(entry: URL): Promise<string[]> {
  const seen = new Map<string, string>();
  const visit = async (file: URL): Promise<void> => {
    if (seen.has(file.href)) return;
    const text = await readFile(file, 'utf8');
    seen.set(file.href, text);
    for (const [, name = ''] of text.matchAll(/(?:from|import\()\s*'(\.[^']+\.ts)'/g)) {
      const target = new URL(name, file);
      const isShared = new URL('.', target).href === new URL('jobs/', root).href;
      const isOtherDoor = target.pathname.endsWith('/job.ts') && new URL('.', target).href !== new URL('.', entry).href;
      if (!isShared && !isOtherDoor) await visit(target);
    }
  };
  await visit(entry);
  return [...seen.values()];
}

function variables(env: z.ZodType): string {
  const rows = env instanceof z.ZodObject ? variableRows(env) : [];
  const text = rows.length === 0 ? 'None of its own.' : table(['variable', 'default', 'meaning'], rows);
  return `## Variables\n\n${text}`;
}

async function newestPayload(name: string): Promise<Record<string, unknown>> {
  const folder = new URL(`jobs/${name}/payloads/`, root);
  const files = (await readdir(folder)).filter((file) => file.endsWith('.json'));
  const newest = files.toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)).at(-1);
  if (newest === undefined) throw new Error(`jobs/${name}/payloads holds no payload; put one of every released shape`);
  return z.record(z.string(), z.unknown()).parse(JSON.parse(await readFile(new URL(newest, folder), 'utf8')));
}

function examples(job: Job, payload: Record<string, unknown>): string {
  const file = fileField(job.payload);
  const rest = Object.fromEntries(Object.entries(payload).filter(([name]) => name !== file));
  const json = JSON.stringify(payload);
  const flags = [
    ...(file === undefined ? [] : ['--file ./input']),
    ...(Object.keys(rest).length === 0 ? [] : [`--payload '${quoted(JSON.stringify(rest))}'`]),
    '--wait',
  ];
  const name = job.name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return [
    '## Examples',
    `\`\`\`sh\ncurl -sX POST "$JOBFLEET_URL/v1/jobs" -H "authorization: Bearer $JOBFLEET_KEY" -H 'content-type: application/json' \\\n  -d '${quoted(`{"type":"${job.name}","payload":${json}}`)}'\n\`\`\``,
    `\`\`\`sh\njobfleet enqueue ${job.name} ${flags.join(' ')}\n\`\`\``,
    `\`\`\`ts\nimport ${name} from './jobs/${job.name}/job.ts';\n\nconst { id } = await client.enqueue(${name}, ${inspect(payload, { depth: null, breakLength: 100 })});\n\`\`\``,
  ].join('\n\n');
}

function quoted(text: string): string {
  return text.replaceAll("'", String.raw`'\''`);
}

/** The index of all pages, for docs/jobs.md. */
export function jobTypeRow(job: Job): string[] {
  return [
    `[\`${job.name}\`](jobs/${job.name}.md)`,
    job.aliases.map((alias) => `\`${alias}\``).join(', '),
    job.summary,
    `${job.policy.attempts}`,
    `${job.policy.timeoutMs / 1_000} s`,
    job.policy.isolation === 'child' ? 'own process' : 'in the worker',
  ];
}
