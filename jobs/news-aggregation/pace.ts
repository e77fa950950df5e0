/** When a feed is asked for again: what its publisher wishes, within bounds. */
import { readDate } from './dates.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const defaultMs = 30 * minuteMs;
/** No wish and no row of failures makes a feed rarer. */
const longestMs = 24 * hourMs;
const days = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/** What a feed says about itself (RSS `ttl`, `skipHours`, `skipDays`, the syndication module) in plain numbers. */
export interface Wishes {
  /** Minutes. */
  readonly ttl?: number | undefined;
  /** How long one period lasts, in minutes, by the syndication module. */
  readonly periodMinutes?: number | undefined;
  /** 0–23 in GMT; 24 stands for 0. */
  readonly skipHours: readonly number[];
  /** English names. */
  readonly skipDays: readonly string[];
}

export const noWishes: Wishes = { skipHours: [], skipDays: [] };

/** RFC 3339. `headers` are those of the answer. Half an hour at least, a day at most, then the next hour that is not to be skipped. */
export function nextAt(now: number, wishes: Wishes, headers: Readonly<Record<string, string>>): string {
  const wished = Math.max(
    defaultMs,
    (wishes.ttl ?? 0) * minuteMs,
    (wishes.periodMinutes ?? 0) * minuteMs,
    freshMs(now, headers),
  );
  const at = now + Math.min(wished, longestMs);
  return new Date(afterSkipped(at, wishes)).toISOString();
}

/** RFC 3339: later with every failure in a row, twice as long each time, a day at most, and not before `notBeforeMs` from now. */
export function nextAfterFailure(now: number, failures: number, notBeforeMs = 0): string {
  const waitMs = Math.min(longestMs, defaultMs * 2 ** Math.min(failures - 1, 10));
  return new Date(now + Math.max(waitMs, Math.min(notBeforeMs, longestMs))).toISOString();
}

/** How long caches may keep the answer. `no-cache` and `no-store` speak of caches: they make nothing faster here. */
function freshMs(now: number, headers: Readonly<Record<string, string>>): number {
  const maxAge = /(?:^|[\s,])max-age\s*=\s*"?(\d{1,10})/i.exec(headers['cache-control'] ?? '')?.[1];
  if (maxAge !== undefined) return Number(maxAge) * 1_000;
  const expires = readDate(headers['expires']).instant;
  return expires === undefined ? 0 : Math.max(0, Date.parse(expires) - now);
}

/** Skipping every hour or every day is no rule but a mistake: it is not followed. */
function afterSkipped(at: number, { skipHours, skipDays }: Wishes): number {
  const hours = new Set(skipHours.map((hour) => hour % 24));
  const skipped = new Set(skipDays.map((day) => days.indexOf(day.trim().toLowerCase())));
  const isSkipped = (ms: number): boolean => {
    const date = new Date(ms);
    return hours.has(date.getUTCHours()) || skipped.has(date.getUTCDay());
  };
  for (let ms = at, looked = 0; looked <= 7 * 24; looked += 1, ms = (Math.floor(ms / hourMs) + 1) * hourMs)
    if (!isSkipped(ms)) return ms;
  return at;
}
