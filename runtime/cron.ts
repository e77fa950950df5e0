/**
 * When a cron rule ticks. The fields are `cron-parser`'s (5, or 6 with seconds in front); what a change of the clock does
 * to them is decided here, because the library drops some ticks that a spring-forward skips and repeats some in autumn:
 *
 *   hour field `*`     every wall-clock time that matches, as often as it comes: an hourly rule stays hourly
 *   any other hours    every wall-clock time once a day: one that is skipped ticks when it would have been without the
 *                      change (02:30 → 03:30), one that comes twice ticks at its first coming
 */
import { CronExpressionParser } from 'cron-parser';

export interface CronRule {
  readonly cron: string;
  /** IANA name, such as `Europe/Berlin` or `UTC`. */
  readonly timeZone: string;
}

const dayMs = 86_400_000;

/** The first tick after `after` (both epoch ms). Undefined when the rule never ticks (31 April). Throws for a rule that cannot be read. */
export function nextTick(rule: CronRule, after: number): number | undefined {
  const { timeZone } = rule;
  // Between two changes of the clock the zone is a fixed one, and there the library can be trusted.
  for (let from = after; ; ) {
    const { at: found, isHourly } = nextAtOffset(rule, offsetMs(timeZone, from + 1), from);
    if (found === undefined) return undefined;
    const begun = lastChange(timeZone, from + 1);
    const skipped = isHourly || begun === undefined ? undefined : skippedTick(rule, begun, from);
    const ended = firstChange(timeZone, from + 1, found);
    if (skipped !== undefined && skipped < Math.min(found, ended?.at ?? found)) return skipped;
    if (ended !== undefined) from = ended.at - 1;
    else if (isHourly || begun === undefined || !isRepeated(begun, found)) return found;
    else from = found;
  }
}

/** The ticks in (after, until], the oldest first; when there are more than `most`, the newest ones. */
export function ticksBetween(rule: CronRule, after: number, until: number, most: number): number[] {
  const first = nextTick(rule, after);
  if (first === undefined || first > until) return [];
  const second = nextTick(rule, first) ?? until;
  // Looking back from the end in growing steps: a second-by-second rule that was down for a week has 600,000 ticks.
  for (let spanMs = Math.max(1, second - first) * (most + 1); ; spanMs *= 2) {
    const from = Math.max(after, until - spanMs);
    const ticks: number[] = [];
    for (let at = nextTick(rule, from); at !== undefined && at <= until; at = nextTick(rule, at)) {
      ticks.push(at);
      if (ticks.length > most) ticks.shift();
    }
    if (ticks.length >= most || from === after) return ticks;
  }
}

/** In a zone that is always `offset` ahead of UTC. */
function nextAtOffset(
  { cron }: CronRule,
  offset: number,
  after: number,
): { readonly at: number | undefined; readonly isHourly: boolean } {
  const expression = CronExpressionParser.parse(cron, { tz: fixedZone(offset), currentDate: new Date(after) });
  const isHourly = expression.fields.hour.isWildcard;
  try {
    return { at: expression.next().getTime(), isHourly };
  } catch (error) {
    // It looks ahead for years, then gives up.
    if (error instanceof Error && /loop limit|out of the time ?span/i.test(error.message))
      return { at: undefined, isHourly };
    throw error;
  }
}

interface Change {
  /** The first moment of the new offset. */
  readonly at: number;
  /** Positive where the clock is put forward. */
  readonly byMs: number;
  readonly beforeMs: number;
}

/** A tick after `after` whose wall-clock time this change skips: it comes at the old offset. */
function skippedTick(rule: CronRule, change: Change, after: number): number | undefined {
  if (change.byMs <= 0) return undefined;
  const { at } = nextAtOffset(rule, change.beforeMs, Math.max(after, change.at - 1));
  return at !== undefined && at < change.at + change.byMs ? at : undefined;
}

/** Whether the same wall-clock time came before, on the other side of this change. */
function isRepeated(change: Change, at: number): boolean {
  return change.byMs < 0 && at + change.byMs < change.at;
}

/** The newest change in the day before `at`, `at` included. */
function lastChange(timeZone: string, at: number): Change | undefined {
  return firstChange(timeZone, at - dayMs, at);
}

/** The first change of the offset in (from, to], found by looking once a day. */
function firstChange(timeZone: string, from: number, to: number): Change | undefined {
  const before = offsetMs(timeZone, from);
  for (let start = from; start < to; start += dayMs) {
    const end = Math.min(start + dayMs, to);
    const after = offsetMs(timeZone, end);
    if (after !== before) return { at: changeAt(timeZone, start, end, after), byMs: after - before, beforeMs: before };
  }
  return undefined;
}

/** The first moment in (start, end] at which the offset is `after`. */
function changeAt(timeZone: string, start: number, end: number, after: number): number {
  let [low, high] = [start, end];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetMs(timeZone, middle) === after) high = middle;
    else low = middle;
  }
  return high;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function offsetMs(timeZone: string, at: number): number {
  const format = formats.get(timeZone) ?? new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  formats.set(timeZone, format);
  const name = format.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const [, sign, hours = '0', minutes = '0', seconds = '0'] = /([+-])(\d\d):(\d\d)(?::(\d\d))?/.exec(name) ?? [];
  const ms = (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
  return sign === '-' ? -ms : ms;
}

function fixedZone(ms: number): string {
  const minutes = Math.abs(ms) / 60_000;
  const digits = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `UTC${ms < 0 ? '-' : '+'}${digits(minutes / 60)}:${digits(minutes % 60)}`;
}
