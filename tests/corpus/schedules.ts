/** Schedules that nobody should declare, and what is said of each; some that look wrong and are not. */

interface ScheduleCase {
  readonly name: string;
  /** Over `{cron: '0 3 * * *', timeZone: 'UTC', payload: {}}`. */
  readonly schedule: Readonly<Record<string, unknown>>;
  /** In the sentence that refuses it; undefined: it is fine. */
  readonly says?: string;
}

const cron = (rule: string, says?: string): ScheduleCase => ({
  name: `the rule ${JSON.stringify(rule.slice(0, 40))}`,
  schedule: { cron: rule },
  ...(says === undefined ? {} : { says }),
});
const zone = (timeZone: string, says?: string): ScheduleCase => ({
  name: `the zone ${JSON.stringify(timeZone.slice(0, 40))}`,
  schedule: { timeZone },
  ...(says === undefined ? {} : { says }),
});

const unreadable = [
  '60 * * * *',
  '* 24 * * *',
  '* * 32 * *',
  '* * 0 * *',
  '* * * 13 *',
  '* * * 0 *',
  '* * * * 8',
  '-1 * * * *',
  '1-60 * * * *',
  '*/0 * * * *',
  '*/-1 * * * *',
  '5-1 * * * *',
  '1,,2 * * * *',
  '1.5 * * * *',
  'a * * * *',
  '* * * foo *',
  '* * * * xyz',
  '0 0 30 2 *',
  '0 0 31 2 *',
  '0 0 15W * *',
  '0 0 LW * *',
  '0 9 * * 1#6',
  '@nonsense',
  '@reboot',
  '0 0 * * *; rm -rf /',
  '$(date) * * * *',
  '０ 3 * * *',
  '٣ 3 * * *',
];

export const scheduleCases: readonly ScheduleCase[] = [
  ...unreadable.map((rule) => cron(rule, 'schedule.cron')),
  cron('', 'has 0 fields'),
  cron('   ', 'has 0 fields'),
  cron('* *', 'has 2 fields'),
  cron('1 2 3 4 5 6 7', 'has 7 fields'),
  cron('0 0 31 4 *', 'schedule.cron'),
  cron('H 3 * * *', 'says H'),
  cron('H/5 * * * *', 'says H'),
  cron('9'.repeat(10_000), 'schedule.cron'),
  cron(`${'0,'.repeat(5_000)}0 * * * *`, 'schedule.cron'),
  cron('* * * * * *', 'ticks after 1 s'),
  cron('*/1 * * * * *', 'ticks after 1 s'),
  cron('*/9 * * * * *', 's; the least is 10 s'),
  cron('0,5 * * * * *', 'ticks after 5 s'),
  cron('55,0 59,0 * * * *', 'ticks after 5 s'),
  cron('*/10 * * * * *'),
  cron('0 0 29 2 *'),
  cron('0 0 L * *'),
  cron('0 9 * * 1#1'),
  cron('30 2 * * *'),
  zone('Mars/Base', 'is no time zone'),
  zone('', 'is no time zone'),
  zone('+02:00', 'is no time zone'),
  zone('UTC+2', 'is no time zone'),
  zone('Europe/Berlin; DROP TABLE', 'is no time zone'),
  zone('../../etc/localtime', 'is no time zone'),
  zone('x'.repeat(5_000), 'schedule.timeZone'),
  zone('Asia/Kolkata'),
  { name: 'an end, which no schedule has', schedule: { endDate: '2020-01-01' }, says: 'endDate' },
  {
    name: 'an end before its start',
    schedule: { startDate: '2026-01-01', endDate: '2020-01-01' },
    says: 'endDate',
  },
  { name: 'an interval instead of a rule', schedule: { every: 1 }, says: 'every' },
  { name: 'a limit of runs', schedule: { limit: 1 }, says: 'limit' },
  { name: 'no rule', schedule: { cron: undefined }, says: 'schedule.cron' },
  { name: 'a rule that is a number', schedule: { cron: 5 }, says: 'schedule.cron' },
  { name: 'a rule that is a list', schedule: { cron: ['* * * * *'] }, says: 'schedule.cron' },
  { name: 'no zone', schedule: { timeZone: undefined }, says: 'schedule.timeZone' },
  { name: 'an unknown word for missed ticks', schedule: { missed: 'never' }, says: 'schedule.missed' },
  { name: 'an unknown word for overlaps', schedule: { overlap: 'both' }, says: 'schedule.overlap' },
  { name: 'a payload its type refuses', schedule: { payload: { dya: 'today' } }, says: 'dya' },
  { name: 'a payload of null', schedule: { payload: null }, says: 'schedule.payload' },
  { name: 'a payload over 8 KiB', schedule: { payload: { day: 'x'.repeat(9_000) } }, says: 'at most 8192' },
];

/** Local times that do not exist, exist twice, or both within one rule: the instants of the next ticks. */
export const clockCases: readonly {
  readonly name: string;
  readonly rule: { readonly cron: string; readonly timeZone: string };
  readonly from: string;
  readonly ticks: readonly string[];
}[] = [
  {
    name: 'an hour that the spring leaves out runs once, when the clock has moved',
    rule: { cron: '30 2 * * *', timeZone: 'Europe/Berlin' },
    from: '2026-03-28T12:00:00Z',
    ticks: ['2026-03-29T01:30:00.000Z', '2026-03-30T00:30:00.000Z'],
  },
  {
    name: 'an hour that the autumn has twice runs once',
    rule: { cron: '30 2 * * *', timeZone: 'Europe/Berlin' },
    from: '2026-10-24T12:00:00Z',
    ticks: ['2026-10-25T00:30:00.000Z', '2026-10-26T01:30:00.000Z'],
  },
  {
    name: 'every half hour goes on through the gap',
    rule: { cron: '*/30 * * * *', timeZone: 'Europe/Berlin' },
    from: '2026-03-29T00:45:00Z',
    ticks: ['2026-03-29T01:00:00.000Z', '2026-03-29T01:30:00.000Z'],
  },
  {
    name: 'a zone that moves by half an hour',
    rule: { cron: '15 2 * * *', timeZone: 'Australia/Lord_Howe' },
    from: '2026-10-03T00:00:00Z',
    ticks: ['2026-10-03T15:45:00.000Z', '2026-10-04T15:15:00.000Z'],
  },
  {
    name: 'the leap day, years ahead',
    rule: { cron: '0 0 29 2 *', timeZone: 'UTC' },
    from: '2026-11-30T00:00:00Z',
    ticks: ['2028-02-29T00:00:00.000Z', '2032-02-29T00:00:00.000Z'],
  },
];
