/** `jobfleet schedules`: what runs by itself and when; run it now, stop it, let it go on. */
import { userInfo } from 'node:os';
import { z } from 'zod';
import { connect, type ServerFlags } from './connection.ts';
import { age, print, table } from './output.ts';

interface Flags extends ServerFlags {
  readonly json?: boolean;
}

const listed = z.object({
  schedules: z.array(
    z.looseObject({
      type: z.string(),
      cron: z.string(),
      words: z.string(),
      timeZone: z.string(),
      next: z.array(z.string()),
      running: z.array(z.string()),
      last: z.object({ outcome: z.string(), at: z.string() }).nullable(),
      skipped: z.object({ reason: z.string(), at: z.string() }).nullable(),
      paused: z.object({ by: z.string(), reason: z.string(), since: z.string() }).nullable(),
    }),
  ),
});
type Listed = z.output<typeof listed>['schedules'][number];

export async function listSchedules(flags: Flags): Promise<void> {
  const server = await connect(flags);
  const answer = await server.call(listed, 'GET', '/v1/schedules');
  print(flags.json === true, answer, (it) =>
    it.schedules.length === 0
      ? 'No schedules. A job type declares one in its job.ts: docs/jobs.md.'
      : it.schedules.map(describe).join('\n\n'),
  );
}

/** A block each: three times and two sentences do not fit into columns. */
function describe(one: Listed): string {
  const rows: [string, string][] = [
    ['rule', `${one.words} (${one.cron}, ${one.timeZone})`],
    ['next', one.next.map((time) => inZone(time, one.timeZone)).join(', ') || 'never'],
    ['last run', lastRun(one)],
  ];
  if (one.skipped !== null) rows.push(['skipped', `${one.skipped.reason}, ${age(one.skipped.at)} ago`]);
  if (one.paused !== null)
    rows.push(['paused', `by ${one.paused.by}, ${age(one.paused.since)} ago: ${one.paused.reason}`]);
  return table([one.type, ''], rows, '');
}

function lastRun({ last, running }: Listed): string {
  const now = running.length === 0 ? '' : `${running.length === 1 ? 'one runs' : `${running.length} in line`} now`;
  if (last === null) return now || 'none yet';
  return [`${last.outcome}, ${age(last.at)} ago`, now].filter((part) => part !== '').join('; ');
}

/** `2026-03-29 03:30`, as the clock on the wall there says. */
function inZone(time: string, timeZone: string): string {
  return new Intl.DateTimeFormat('sv', { timeZone, dateStyle: 'short', timeStyle: 'medium' }).format(new Date(time));
}

export async function runSchedule(type: string, flags: Flags): Promise<void> {
  const server = await connect(flags);
  const answer = await server.call(z.looseObject({ id: z.string() }), 'POST', pathOf(type, 'run'));
  print(flags.json === true, answer, ({ id }) => `${id} added.`);
}

export async function pauseSchedule(
  type: string,
  flags: Flags & { readonly reason: string; readonly by?: string },
): Promise<void> {
  const server = await connect(flags);
  const body = { reason: flags.reason, by: flags.by ?? userInfo().username };
  const answer = await server.call(z.looseObject({ type: z.string() }), 'POST', pathOf(type, 'pause'), body);
  print(flags.json === true, answer, (it) => `${it.type} is paused; its ticks are skipped until it is resumed.`);
}

export async function resumeSchedule(type: string, flags: Flags): Promise<void> {
  const server = await connect(flags);
  const answer = await server.call(z.looseObject({ type: z.string() }), 'POST', pathOf(type, 'resume'));
  print(flags.json === true, answer, (it) => `${it.type} runs again from its next tick on.`);
}

function pathOf(type: string, verb: string): string {
  return `/v1/schedules/${encodeURIComponent(type)}/${verb}`;
}
