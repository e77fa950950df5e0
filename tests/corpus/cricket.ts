/**
 * Bad input of the cricket types, generated from a seed: matches with one wrong value, files that are cut, flipped or
 * something else, payloads that ask for nonsense. Each case names the classes it may end in.
 */
import { gzipSync } from 'node:zlib';
import { ball, cricsheet, overOf, singles } from '../support/cricket.ts';
import { random } from '../support/http-cases.ts';
import { makeZip } from '../support/zip.ts';

export interface FileCase {
  readonly name: string;
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly classes: readonly string[];
}

export interface PayloadCase {
  readonly name: string;
  readonly type: 'ranking-update' | 'stats-calculation';
  readonly payload: unknown;
  readonly classes: readonly string[];
}

const bad = ['BAD_SOURCE'];
const innings = (overs: readonly object[], more: object = {}) => ({ innings: [{ team: 'Alpha', overs, ...more }] });
const good = (): Record<string, unknown> =>
  cricsheet(innings([singles(0), overOf(1, [ball({ extras: { wides: 1 } })])], { target: { runs: 90, overs: 20 } }));

/** Where a number stands, as a path. */
const numbers = [
  'meta.revision',
  'info.balls_per_over',
  'info.overs',
  'innings.0.target.runs',
  'innings.0.overs.0.over',
  'innings.0.overs.0.deliveries.0.runs.batter',
  'innings.0.overs.0.deliveries.0.runs.total',
  'innings.0.overs.1.deliveries.0.extras.wides',
];
const wrongNumbers = ['NaN', 'Infinity', '-1', '1e309', '1.5', '"3"', '9007199254740993', 'null'];

/** The good file with another text where the path leads. */
function withText(path: string, text: string): string {
  const file = good();
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  let at: Record<string, unknown> = file;
  for (const key of keys) at = at[key] as Record<string, unknown>;
  at[last] = '@here@';
  return JSON.stringify(file).replace('"@here@"', () => text);
}

function wrongValues(): FileCase[] {
  return numbers.flatMap((path) =>
    wrongNumbers.map((text) => ({
      name: `${path} is ${text}`,
      file: '1.json',
      bytes: Buffer.from(withText(path, text)),
      classes: bad,
    })),
  );
}

function wrongMatches(): FileCase[] {
  const out = (name: string) => ball({ wickets: [{ kind: 'bowled', player_out: name }] });
  const files: Record<string, unknown> = {
    'a side plays itself': cricsheet({ teams: ['Alpha', 'Alpha'] }),
    'a side plays itself under two names': cricsheet({
      date: '2018-05-01',
      teams: ['Delhi Daredevils', 'Delhi Capitals'],
    }),
    'one side': cricsheet({ teams: ['Alpha'] }),
    'three sides': cricsheet({ teams: ['Alpha', 'Beta', 'Gamma'] }),
    'an unknown side bats': cricsheet({ innings: [{ team: 'Gamma', overs: [] }] }),
    'an unknown side wins': cricsheet({ outcome: { winner: 'Gamma' } }),
    'an unknown side wins the super over': cricsheet({ outcome: { result: 'tie', eliminator: 'Gamma' } }),
    'nobody wins, and nothing else': cricsheet({ outcome: {} }),
    'an unknown result': cricsheet({ outcome: { result: 'rain' } }),
    'an unknown batter': cricsheet(innings([overOf(0, [ball({ batter: 'Z1' })])])),
    'an unknown bowler': cricsheet(innings([overOf(0, [ball({ bowler: 'Z1' })])])),
    'an unknown player is out': cricsheet(innings([overOf(0, [out('Z1')])])),
    'an unknown player in the side': cricsheet({ info: { players: { Alpha: ['Z1'] } } }),
    'a player called __proto__': cricsheet(innings([overOf(0, [ball({ batter: '__proto__' })])])),
    'a player called constructor': cricsheet(innings([overOf(0, [ball({ batter: 'constructor' })])])),
    'runs that do not add up': cricsheet(
      innings([overOf(0, [{ ...ball(), runs: { batter: 1, extras: 0, total: 2 } }])]),
    ),
    'extras that do not add up': cricsheet(innings([overOf(0, [{ ...ball(), extras: { wides: 2 } }])])),
    'five wickets on a ball': cricsheet(
      innings([
        overOf(0, [ball({ wickets: Array.from({ length: 5 }, () => ({ kind: 'run out', player_out: 'A1' })) })]),
      ]),
    ),
    'an over without end': cricsheet(
      innings([
        overOf(
          0,
          Array.from({ length: 101 }, () => ball()),
        ),
      ]),
    ),
    'innings without end': cricsheet({ innings: Array.from({ length: 41 }, () => ({ team: 'Alpha' })) }),
    'no day': cricsheet({ dates: [] }),
    'a day that is none': cricsheet({ dates: ['2024-02-30'] }),
    'a time for a day': cricsheet({ dates: ['2024-04-01T10:00:00Z'] }),
    'a day far away': cricsheet({ dates: ['12024-04-01'] }),
    'an unknown gender': cricsheet({ info: { gender: 'mixed' } }),
    'an unknown kind of team': cricsheet({ info: { team_type: 'family' } }),
    'a layout of tomorrow': cricsheet({ meta: { data_version: '2.0.0' } }),
    'no meta': { ...cricsheet(), meta: undefined },
    'a name without end': cricsheet({ teams: ['Alpha', 'B'.repeat(201)] }),
    'an empty name': cricsheet({ teams: ['Alpha', ''] }),
    'a season that is a list': cricsheet({ info: { season: ['2024'] } }),
  };
  return Object.entries(files).map(([name, file]) => ({
    name,
    file: '1.json',
    bytes: Buffer.from(JSON.stringify(file)),
    classes: bad,
  }));
}

function wrongFiles(seed: number): FileCase[] {
  const next = random(seed);
  const text = Buffer.from(JSON.stringify(good()));
  const zip = makeZip([{ name: '1.json', bytes: text }]);
  const noise = Buffer.from(Array.from({ length: 1_000 }, () => Math.floor(next() * 256)));
  const cut = (bytes: Buffer): Buffer => bytes.subarray(0, 1 + Math.floor(next() * (bytes.length - 2)));
  const flipped = (): Buffer => {
    const copy = Buffer.from(zip);
    const at = Math.floor(next() * copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(next() * 8));
    return copy;
  };
  const files: [string, Uint8Array, readonly string[]][] = [
    ['nothing', Buffer.alloc(0), bad],
    ['one byte', Buffer.from('{'), bad],
    ['noise', noise, bad],
    ['a page', Buffer.from('<!doctype html><p>404'), bad],
    ['a PDF', Buffer.from('%PDF-1.7\n'), bad],
    ['a gzip of a match', gzipSync(text), bad],
    ['UTF-16', Buffer.from(text.toString(), 'utf16le'), bad],
    ['a list of matches', Buffer.from(`[${text.toString()}]`), bad],
    ['two matches in one', Buffer.concat([text, text]), bad],
    ['JSON a million deep', Buffer.from('['.repeat(1_000_000)), bad],
    ['a number', Buffer.from('1'), bad],
    ['null', Buffer.from('null'), bad],
    [
      'more balls than a match has',
      Buffer.from(
        JSON.stringify(
          cricsheet(
            innings([
              overOf(
                0,
                Array.from({ length: 60_000 }, () => ball()),
              ),
            ]),
          ),
        ),
      ),
      ['LIMIT_EXCEEDED'],
    ],
    ['a zip of a zip', makeZip([{ name: '1.json', bytes: zip }]), bad],
    ['the head of a zip', Buffer.from('PK\x03\x04'), bad],
    ['the end of a zip that promises entries', Buffer.concat([Buffer.from('PK\x03\x04'), zip.subarray(-22)]), bad],
    ['a bomb', makeZip([{ name: '1.json', bytes: Buffer.alloc(4_000_000, 0x20) }]), ['LIMIT_EXCEEDED']],
    ['a name that climbs', makeZip([{ name: '../1.json', bytes: text }]), bad],
    ['a name of Windows', makeZip([{ name: 'C:\\1.json', bytes: text }]), bad],
    [
      'ten bad matches behind a good one',
      makeZip(Array.from({ length: 11 }, (_, at) => ({ name: `${at + 1}.json`, bytes: at === 0 ? text : '{}' }))),
      bad,
    ],
    ...Array.from({ length: 10 }, (_, at): [string, Uint8Array, readonly string[]] => [
      `a match cut, ${at}`,
      cut(text),
      bad,
    ]),
    ...Array.from({ length: 10 }, (_, at): [string, Uint8Array, readonly string[]] => [
      `a zip cut, ${at}`,
      cut(zip),
      bad,
    ]),
    // A flipped bit of a time or a comment changes nothing; one of a name makes another match of it, or none.
    ...Array.from({ length: 30 }, (_, at): [string, Uint8Array, readonly string[]] => [
      `a zip with a flipped bit, ${at}`,
      flipped(),
      [...bad, 'LIMIT_EXCEEDED', 'done'],
    ]),
  ];
  return files.map(([name, bytes, classes]) => ({ name, file: '1.json', bytes, classes }));
}

function wrongNames(): FileCase[] {
  const bytes = Buffer.from(JSON.stringify(good()));
  const names = ['match.json', '1.txt', 'json', '-1.json', '1.5.json', '1234567890123.json', '1.json.exe'];
  return names.map((file) => ({ name: `a file called ${file}`, file, bytes, classes: bad }));
}

export function fileCases(seed: number): FileCase[] {
  return [...wrongValues(), ...wrongMatches(), ...wrongFiles(seed), ...wrongNames()];
}

export function payloadCases(): PayloadCase[] {
  const invalid = ['PAYLOAD_INVALID'];
  const stats: [string, unknown, readonly string[]][] = [
    ['nothing', {}, invalid],
    ['null', null, invalid],
    ['neither season nor matches', { kind: 'players' }, invalid],
    ['season and matches', { kind: 'players', season: '2024', matchIds: ['1'] }, invalid],
    ['an unknown kind', { kind: 'weather', season: '2024' }, invalid],
    ['an empty season', { kind: 'players', season: '' }, invalid],
    ['no match ids', { kind: 'players', matchIds: [] }, invalid],
    ['too many match ids', { kind: 'players', matchIds: Array.from({ length: 1_001 }, (_, at) => `${at}`) }, invalid],
    ['match ids that are numbers', { kind: 'players', matchIds: [1] }, invalid],
    ['matches nobody took in', { kind: 'players', matchIds: ['1', '2'] }, bad],
    ['a season nobody took in', { kind: 'players', season: '1877' }, ['done']],
    ['a season with a path in it', { kind: 'points-table', season: '../../all' }, ['done']],
    [
      'a fixture of one side',
      { kind: 'points-table', season: '1', fixtures: [{ date: '2024-04-01', teams: ['A'] }] },
      invalid,
    ],
    [
      'a fixture on no day',
      { kind: 'points-table', season: '1', fixtures: [{ date: '2023-02-29', teams: ['A', 'B'] }] },
      invalid,
    ],
    [
      'a fixture with more',
      { kind: 'points-table', season: '1', fixtures: [{ date: '2024-04-01', teams: ['A', 'B'], x: 1 }] },
      invalid,
    ],
    [
      '5,000 fixtures of a side against itself',
      {
        kind: 'points-table',
        season: '1',
        fixtures: Array.from({ length: 5_000 }, () => ({ date: '2024-04-01', teams: ['A', 'A'], abandoned: true })),
      },
      ['done'],
    ],
    [
      '5,001 fixtures',
      {
        kind: 'points-table',
        season: '1',
        fixtures: Array.from({ length: 5_001 }, () => ({ date: '2024-04-01', teams: ['A', 'B'] })),
      },
      invalid,
    ],
  ];
  const rankings: [string, unknown, readonly string[]][] = [
    ['an unknown format', { format: 't10' }, invalid],
    ['an unknown method', { format: 'odi', method: 'fide' }, invalid],
    ['a day that is none', { format: 'odi', asOf: '2024-02-30' }, invalid],
    ['a time', { format: 'odi', asOf: '2024-02-01T00:00:00Z' }, invalid],
    ['a day to come', { format: 'odi', asOf: '9999-12-31' }, invalid],
    ['a day before cricket', { format: 'odi', asOf: '0001-01-01' }, ['done']],
    ['more than it asks for', { format: 'odi', since: '2024' }, invalid],
    ['a format nobody took in', { format: 'test', method: 'glicko2' }, ['done']],
  ];
  return [
    ...stats.map(([name, payload, classes]) => ({ name, type: 'stats-calculation' as const, payload, classes })),
    ...rankings.map(([name, payload, classes]) => ({ name, type: 'ranking-update' as const, payload, classes })),
  ];
}
