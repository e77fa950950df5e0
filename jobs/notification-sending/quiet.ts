/** Quiet hours: how long a notification waits. Pure. */

export interface QuietHours {
  /** `HH:MM` on the user's clock. */
  readonly from: string;
  /** First minute that is not quiet; before `from` = on the next day. */
  readonly to: string;
  readonly timeZone: string;
}

const dayMinutes = 1_440;
const minuteMs = 60_000;

/** Milliseconds from `now` (epoch ms) to the end of the quiet hours; 0 outside of them. Follows the zone's changes of the clock. */
export function quietMs({ from, to, timeZone }: QuietHours, now: number): number {
  const end = minutesOf(to);
  const isQuiet = (at: number): boolean =>
    forward(minutesOf(from), localMinutes(at, timeZone)) < forward(minutesOf(from), end);
  if (!isQuiet(now)) return 0;
  const wholeMinute = now - (now % minuteMs);
  const guess = wholeMinute + forward(localMinutes(now, timeZone), end) * minuteMs;
  // When the clock changes in between, the guess is off by that much.
  const offBy = (forward(end, localMinutes(guess, timeZone)) + dayMinutes / 2) % dayMinutes;
  let ended = guess - (offBy - dayMinutes / 2) * minuteMs;
  // A time of day that the change leaves out: the first minute behind it.
  while (isQuiet(ended)) ended += minuteMs;
  return Math.max(minuteMs, ended - now);
}

/** Minutes from one time of day to the next time it is the other. */
const forward = (from: number, to: number): number => (to - from + dayMinutes) % dayMinutes;

function minutesOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(':').map(Number);
  return hours * 60 + minutes;
}

function localMinutes(at: number, timeZone: string): number {
  const format = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone });
  return minutesOf(format.format(at));
}
