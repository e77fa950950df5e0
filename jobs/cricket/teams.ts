/**
 * Who a team is, whatever it was called that day. Cricsheet names a team as it was called at the time; without this table
 * the Delhi Daredevils and the Delhi Capitals would be two teams in every table.
 */

export interface Team {
  /** Stays the same through all names: `delhi-capitals`. */
  readonly id: string;
  /** As the match names it. */
  readonly name: string;
}

interface Alias {
  readonly name: string;
  readonly id: string;
  /** The first and the last day of that name for that team, inclusive; another day is another team of the same name. */
  readonly from?: string;
  readonly until?: string;
}

/** Club names are those of the IPL, for men and women; countries as the ICC lists them. */
const aliases: readonly Alias[] = [
  { name: 'Delhi Daredevils', id: 'delhi-capitals', from: '2008-02-20', until: '2018-12-03' },
  { name: 'Kings XI Punjab', id: 'punjab-kings', from: '2008-02-20', until: '2021-02-17' },
  { name: 'Royal Challengers Bangalore', id: 'royal-challengers-bengaluru', from: '2008-02-20', until: '2024-03-18' },
  { name: 'Rising Pune Supergiants', id: 'rising-pune-supergiant', from: '2015-12-08', until: '2017-03-31' },
  { name: 'Swaziland', id: 'eswatini', until: '2018-04-18' },
  { name: 'Turkey', id: 'turkiye' },
  { name: 'Czech Republic', id: 'czechia' },
  { name: 'UAE', id: 'united-arab-emirates' },
  { name: 'USA', id: 'united-states-of-america' },
];

/** `date` is the day of the match, `YYYY-MM-DD`. A name without an alias is its own team. */
export function teamOf(name: string, date: string): Team {
  const alias = aliases.find(
    (one) => one.name === name && (one.from ?? '') <= date && (one.until === undefined || date <= one.until),
  );
  return { id: alias?.id ?? idOf(name), name };
}

/** Letters and digits of any script, in lower case without accents; a name of none of them stays as it is. */
function idOf(name: string): string {
  const plain = name.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();
  const id = plain.replaceAll(/[^\p{L}\p{N}]+/gu, '-').replaceAll(/^-|-$/g, '');
  return id === '' ? name : id;
}
