/** Calendar months of days written `YYYY-MM-DD`. Pure. */

/** The last day of the month of a day. */
function monthEnd(day: string): string {
  const [year = 0, month = 0] = day.split('-').map(Number);
  return new Date(Date.UTC(year, month, 0)).toISOString().slice(0, 10);
}

/** Every month end from that of `first` to the last that is not after `until`. */
export function monthEnds(first: string, until: string): string[] {
  const ends: string[] = [];
  for (let end = monthEnd(first); end <= until; end = monthEnd(dayAfter(end))) ends.push(end);
  return ends;
}

export function dayAfter(day: string): string {
  return addDays(day, 1);
}

export function addDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}
