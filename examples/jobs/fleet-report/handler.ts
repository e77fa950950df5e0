import { z } from 'zod';
import { defineHandler, type JobContext } from '../../../jobs/define.ts';
import emailSending from '../../../jobs/email-sending/job.ts';
import { retry } from '../../../jobs/errors.ts';
import fleetReport from './job.ts';

const queues = z.object({
  queues: z.array(z.object({ queue: z.string(), counts: z.record(z.string(), z.number()), paused: z.unknown() })),
});
const workers = z.object({ workers: z.array(z.object({ version: z.string(), claiming: z.boolean() })) });
const groups = z.object({ groups: z.array(z.object({ queue: z.string(), code: z.string(), count: z.number() })) });
const circuits = z.object({ circuits: z.array(z.object({ name: z.string(), state: z.string() })) });

interface Source {
  readonly url: string;
  readonly key: string;
  readonly close?: () => void;
}

export default defineHandler(fleetReport, {
  env: z.object({
    REPORT_API_URL: z
      .url()
      .describe('The HTTP API of the fleet; HTTP_ALLOW must name its host and port when it is private.'),
    REPORT_API_KEY: z.string().min(1).describe('A key with the scope operator.'),
  }),
  open: ({ REPORT_API_URL: url, REPORT_API_KEY: key }): Source => ({ url, key }),
  async run({ to }, { enqueue, http }, { url, key }) {
    const read = reader(http, url, key);
    const [waiting, fleet, dead, broken] = [
      await read('/v1/queues', queues),
      await read('/v1/workers', workers),
      await read('/v1/dead-letters/groups', groups),
      await read('/v1/circuit-breakers', circuits),
    ];
    const idle = fleet.workers.filter(({ claiming }) => !claiming).length;
    const rows = [
      { label: 'Workers', value: `${fleet.workers.length}${idle > 0 ? `, ${idle} claim nothing` : ''}` },
      ...waiting.queues
        .filter(({ counts, paused }) => (counts['waiting'] ?? 0) + (counts['failed'] ?? 0) > 0 || paused !== null)
        .map(({ queue, counts, paused }) => ({
          label: queue,
          value: `${counts['waiting'] ?? 0} wait, ${counts['failed'] ?? 0} dead${paused === null ? '' : ', paused'}`,
        })),
      ...dead.groups
        .slice(0, 20)
        .map(({ queue, code, count }) => ({ label: `${queue} ${code}`, value: `${count} dead` })),
      ...broken.circuits.map(({ name, state }) => ({ label: `Circuit breaker ${name}`, value: state })),
    ].slice(0, 200);
    const title = `Fleet report of ${new Date().toISOString().slice(0, 10)}`;
    const mail = { to, template: 'report', variables: { title, rows } } as const;
    return { mail: (await enqueue(emailSending, mail, { key: 'report' })).id, rows: rows.length };
  },
});

function reader(http: JobContext['http'], url: string, key: string) {
  return async <S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>> => {
    const answer = await http({ url: new URL(path, url).href, headers: { authorization: `Bearer ${key}` } });
    if (answer.status !== 200) throw retry(`HTTP_${answer.status}`, `${path} did not answer with 200`);
    return schema.parse(JSON.parse(Buffer.from(answer.body).toString('utf8')));
  };
}
