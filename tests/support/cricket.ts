/** Small Cricsheet files for tests. */

interface Ball {
  readonly batter?: string;
  readonly bowler?: string;
  readonly non_striker?: string;
  /** Off the bat. */
  readonly runs?: number;
  readonly extras?: Readonly<Record<string, number>>;
  readonly non_boundary?: boolean;
  readonly wickets?: readonly object[];
  readonly replacements?: object;
}

/** A delivery that adds up. */
export function ball(more: Ball = {}): object {
  const { batter = 'A1', bowler = 'B11', non_striker = 'A2', runs = 0, extras, non_boundary, ...rest } = more;
  const extra = Object.values(extras ?? {}).reduce((sum, one) => sum + one, 0);
  const scored = { batter: runs, extras: extra, total: runs + extra };
  return {
    batter,
    bowler,
    non_striker,
    runs: non_boundary === undefined ? scored : { ...scored, non_boundary },
    ...(extras === undefined ? {} : { extras }),
    ...rest,
  };
}

export const overOf = (number: number, deliveries: readonly object[]) => ({ over: number, deliveries });

/** Six balls of one run each, from that side. */
export function singles(number: number, side: 'A' | 'B' = 'A', runs = 1): object {
  const other = side === 'A' ? 'B' : 'A';
  const one = ball({ batter: `${side}1`, non_striker: `${side}2`, bowler: `${other}11`, runs });
  return overOf(
    number,
    Array.from({ length: 6 }, () => one),
  );
}

export interface MatchFacts {
  readonly date?: string;
  readonly dates?: readonly string[];
  readonly season?: string | number;
  readonly teams?: readonly string[];
  readonly outcome?: object;
  readonly info?: Readonly<Record<string, unknown>>;
  readonly meta?: Readonly<Record<string, unknown>>;
  readonly innings?: readonly object[];
}

const names = ['A', 'B'].map((side) => Array.from({ length: 11 }, (_, at) => `${side}${at + 1}`));

/** A T20 of two clubs, Alpha and Beta, that Alpha won; players are A1…A11 and B1…B11. */
export function cricsheet(facts: MatchFacts = {}): Record<string, unknown> {
  const { date = '2024-04-01', teams = ['Alpha', 'Beta'], season = '2024' } = facts;
  const [first = 'Alpha', second = 'Beta'] = teams;
  return {
    meta: { data_version: '1.1.0', created: date, revision: 1, ...facts.meta },
    info: {
      balls_per_over: 6,
      dates: facts.dates ?? [date],
      event: { name: 'Test League', match_number: 1 },
      gender: 'male',
      match_type: 'T20',
      outcome: facts.outcome ?? { winner: first, by: { runs: 1 } },
      overs: 20,
      players: { [first]: names[0], [second]: names[1] },
      registry: { people: Object.fromEntries(names.flat().map((name) => [name, `id-${name}`])) },
      season,
      team_type: 'club',
      teams,
      toss: { decision: 'bat', winner: first },
      venue: 'Somewhere',
      ...facts.info,
    },
    innings: facts.innings ?? [],
  };
}

/** An international without a ball: what rankings need. */
export function international(
  format: 'Test' | 'ODI' | 'T20',
  facts: { date: string; teams: readonly [string, string]; winner: string | null; event?: string; gender?: string },
): Record<string, unknown> {
  return cricsheet({
    date: facts.date,
    season: facts.date.slice(0, 4),
    teams: facts.teams,
    outcome: facts.winner === null ? { result: format === 'Test' ? 'draw' : 'tie' } : { winner: facts.winner },
    info: {
      match_type: format,
      team_type: 'international',
      players: {},
      event: { name: facts.event ?? `${facts.teams[0]} tour of ${facts.teams[1]}` },
      gender: facts.gender ?? 'male',
    },
  });
}
