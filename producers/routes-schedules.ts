/** `/v1/schedules`: what runs by itself and when; run it now, stop it, let it go on. */
import cronstrue from 'cronstrue';
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import {
  type Declaration,
  pauseKey,
  readPause,
  readRecord,
  scheduledTypes,
  scheduleKey,
} from '../backends/schedule-record.ts';
import { outsideId } from '../backends/slot-id.ts';
import type { Registry } from '../jobs/registry.ts';
import { nextTick } from '../runtime/cron.ts';
import type { Client } from './client.ts';
import { defineRoute, noBody, notFound, nothing, type Route } from './route.ts';

export interface ScheduleRouteParts {
  readonly backend: Backend;
  readonly client: Pick<Client, 'enqueueNamed'>;
  readonly registry: Registry;
}

const paused = z.object({ by: z.string(), reason: z.string(), since: z.string() });
const schedule = z.object({
  type: z.string(),
  cron: z.string(),
  words: z.string().describe('The rule in English.'),
  timeZone: z.string(),
  missed: z.enum(['once', 'skip', 'all']),
  overlap: z.enum(['skip', 'queue', 'replace']),
  release: z.string().describe('The release that declared it.'),
  next: z.array(z.string()).describe('The next three ticks; RFC 3339.'),
  running: z.array(z.string()).describe('Jobs that have not ended, the oldest first.'),
  last: z.object({ id: z.string(), slot: z.string(), outcome: z.string(), at: z.string() }).nullable(),
  skipped: z
    .object({ slot: z.string(), reason: z.string(), at: z.string() })
    .nullable()
    .describe('The newest tick that did not run.'),
  paused: paused.nullable(),
});
type Schedule = z.output<typeof schedule>;

const type = z.object({ type: z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/) });
const nextShown = 3;
const time = (ms: number): string => new Date(ms).toISOString();
const common = { tag: 'schedules', scope: 'operator', query: nothing } as const;

export function scheduleRoutes(parts: ScheduleRouteParts): Route[] {
  return [listRoute(parts), runRoute(parts), pauseRoute(parts), resumeRoute(parts)];
}

function listRoute({ backend }: ScheduleRouteParts): Route {
  return defineRoute({
    ...common,
    method: 'GET',
    path: '/v1/schedules',
    operationId: 'listSchedules',
    summary: 'Schedules, their next ticks and their last runs.',
    params: nothing,
    body: noBody,
    answers: { 200: { description: 'All schedules.', schema: z.object({ schedules: z.array(schedule) }) } },
    handle: async () => {
      const types = await scheduledTypes(backend.records);
      const stored = await backend.records.get(types.flatMap((name) => [scheduleKey(name), pauseKey(name)]));
      const now = await backend.now();
      const schedules = types.flatMap((name, index) =>
        describeSchedule(name, stored[index * 2]?.value, stored[index * 2 + 1]?.value, now),
      );
      return { status: 200, body: { schedules } };
    },
  });
}

/** Empty for one that was removed. */
function describeSchedule(
  name: string,
  stored: string | undefined,
  pause: string | undefined,
  now: number,
): Schedule[] {
  const { declared, last, open, release, skipped } = readRecord(stored);
  if (!declared) return [];
  const { cron, timeZone, missed, overlap } = declared;
  const stopped = readPause(pause);
  return [
    {
      type: name,
      cron,
      words: cronstrue.toString(cron, { use24HourTimeFormat: true, throwExceptionOnParseError: false }),
      timeZone,
      missed,
      overlap,
      release,
      next: nextTicks(declared, now).map(time),
      running: open.map(({ id }) => outsideId(name, id)),
      last:
        last === undefined
          ? null
          : { id: outsideId(name, last.id), slot: time(last.slot), outcome: last.outcome, at: time(last.at) },
      skipped: skipped === undefined ? null : { ...skipped, slot: time(skipped.slot), at: time(skipped.at) },
      paused: stopped === undefined ? null : { by: stopped.by, reason: stopped.reason, since: time(stopped.at) },
    },
  ];
}

function nextTicks(rule: Declaration, now: number): number[] {
  const ticks: number[] = [];
  for (let at = nextTick(rule, now); at !== undefined; at = nextTick(rule, at)) {
    ticks.push(at);
    if (ticks.length === nextShown) break;
  }
  return ticks;
}

/** The declaration in force, by name or alias; throws where there is none. */
async function declarationOf({ backend, registry }: ScheduleRouteParts, named: string) {
  const name = registry.find(named)?.name ?? named;
  const [stored] = await backend.records.get([scheduleKey(name)]);
  const { declared } = readRecord(stored?.value);
  if (!declared) throw notFound();
  return { name, declared };
}

function runRoute(parts: ScheduleRouteParts): Route {
  return defineRoute({
    ...common,
    method: 'POST',
    path: '/v1/schedules/{type}/run',
    operationId: 'runSchedule',
    summary: 'Add one job as the schedule would, now. Its ticks stay as they are.',
    params: type,
    body: noBody,
    answers: {
      202: {
        description: 'Stored.',
        schema: z.object({ id: z.string(), type: z.string(), links: z.object({ self: z.string() }) }),
        headers: { location: 'Address of the job.' },
      },
    },
    handle: async ({ params }) => {
      const { name, declared } = await declarationOf(parts, params.type);
      const { id } = await parts.client.enqueueNamed(name, JSON.parse(declared.json), {
        route: 'schedule',
        isScheduled: true,
      });
      const self = `/v1/jobs/${id}`;
      return { status: 202, headers: { location: self }, body: { id, type: name, links: { self } } };
    },
  });
}

function pauseRoute(parts: ScheduleRouteParts): Route {
  return defineRoute({
    ...common,
    method: 'POST',
    path: '/v1/schedules/{type}/pause',
    operationId: 'pauseSchedule',
    summary: 'Skip its ticks until it is resumed, also after a deploy. The latest owner and reason stay.',
    params: type,
    body: z.strictObject({
      reason: z.string().min(1).max(500),
      by: z.string().min(1).max(100).optional().describe('Who wants it; default: the id of the key.'),
    }),
    answers: { 200: { description: 'Paused.', schema: z.object({ type: z.string(), paused }) } },
    handle: async ({ params, body, credential }) => {
      const { name } = await declarationOf(parts, params.type);
      const at = await parts.backend.now();
      const by = body.by ?? credential.keyId;
      await putRecord(parts.backend, pauseKey(name), JSON.stringify({ by, reason: body.reason, at }));
      return { status: 200, body: { type: name, paused: { by, reason: body.reason, since: time(at) } } };
    },
  });
}

function resumeRoute(parts: ScheduleRouteParts): Route {
  return defineRoute({
    ...common,
    method: 'POST',
    path: '/v1/schedules/{type}/resume',
    operationId: 'resumeSchedule',
    summary: 'Let its ticks run again, from the next one on.',
    params: type,
    body: noBody,
    answers: { 200: { description: 'Not paused.', schema: z.object({ type: z.string(), paused: z.null() }) } },
    handle: async ({ params }) => {
      const { name } = await declarationOf(parts, params.type);
      await putRecord(parts.backend, pauseKey(name), null);
      return { status: 200, body: { type: name, paused: null } };
    },
  });
}

/** Whatever stood there before; null removes it. */
async function putRecord({ records }: Pick<Backend, 'records'>, key: string, value: string | null): Promise<void> {
  for (;;) {
    const [before] = await records.get([key]);
    if (before === undefined) {
      if (value === null || (await records.putIfAbsent(key, value, null)).stored) return;
    } else if (await records.compareAndSet(key, before.version, value, null)) return;
  }
}
