/**
 * A match as it is kept: what tables, statistics and ratings are computed from. One document a match in the collection
 * `matches`; the file it was read from is kept whole beside it (`source`).
 */
import { z } from 'zod';

const team = z.object({ id: z.string(), name: z.string() });
const day = z.iso.date();
const count = z.int().min(0);

export const battingLine = z.object({
  id: z.string(),
  name: z.string(),
  runs: count,
  /** Wides are not faced, no-balls are. */
  balls: count,
  /** Over the rope: a four that was run is none. */
  fours: count,
  sixes: count,
  /** How the batter was dismissed; null: not out, or retired and not dismissed. */
  out: z.string().nullable(),
});

export const bowlingLine = z.object({
  id: z.string(),
  name: z.string(),
  /** Legal balls. */
  balls: count,
  /** Off the bat, wides and no-balls. */
  runs: count,
  wickets: count,
  maidens: count,
});

export const innings = z.object({
  team: z.string(),
  runs: count,
  wickets: count,
  /** Legal balls. */
  balls: count,
  /** Overs bowled as balls: a miscounted over is still one over. */
  oversBalls: count,
  allOut: z.boolean(),
  superOver: z.boolean(),
  declared: z.boolean(),
  forfeited: z.boolean(),
  target: z.object({ runs: count, balls: count.nullable() }).nullable(),
  extras: z.object({ wides: count, noballs: count, byes: count, legbyes: count, penalty: count }),
  batting: z.array(battingLine),
  bowling: z.array(bowlingLine),
});

export const outcome = z.object({
  result: z.enum(['win', 'tie', 'draw', 'no result']),
  /** Id of the winner of the match itself. */
  winner: z.string().nullable(),
  /** Id of the side that won what settled a tie: a super over, a bowl-out. */
  tieWinner: z.string().nullable(),
  method: z.string().nullable(),
  by: z.object({ runs: count.optional(), wickets: count.optional(), innings: count.optional() }).nullable(),
});

/** Formats that have a ranking, and null for every other match. */
export const formats = ['odi', 't20i', 'test'] as const;

export const keptMatch = z.object({
  _id: z.string(),
  revision: z.int(),
  created: z.string(),
  /** Of the file's bytes. */
  sha256: z.string(),
  dataVersion: z.string(),
  source: z.object({ object: z.string(), entry: z.string().nullable() }),
  /** Who wrote this revision, and whether it was the first. */
  written: z.object({ job: z.string(), as: z.enum(['added', 'replaced']) }),
  /** The first day; `dates` are all. */
  date: day,
  dates: z.array(day),
  /** Date and match id, so that text order is the order of play: the order of every replay. */
  order: z.string(),
  season: z.string(),
  gender: z.enum(['male', 'female']),
  matchType: z.string(),
  teamType: z.string(),
  format: z.enum(formats).nullable(),
  competition: z.string().nullable(),
  stage: z.string().nullable(),
  group: z.string().nullable(),
  matchNumber: z.number().nullable(),
  venue: z.string().nullable(),
  city: z.string().nullable(),
  /** Overs a side, null where they are not limited. */
  overs: z.int().positive().nullable(),
  ballsPerOver: z.int().min(1).max(12),
  teams: z.tuple([team, team]),
  outcome,
  innings: z.array(innings),
  /** Who played, substitutes for injury and impact included: registry id, name and team. */
  players: z.array(z.object({ id: z.string(), name: z.string(), team: z.string() })),
});

export type KeptMatch = z.output<typeof keptMatch>;
export type Innings = z.output<typeof innings>;
export type BattingLine = z.output<typeof battingLine>;
export type BowlingLine = z.output<typeof bowlingLine>;
export type Outcome = z.output<typeof outcome>;
export type Format = (typeof formats)[number];
/** What the file says; who wrote it and from where is added when it is kept. */
export type ReadMatch = Omit<KeptMatch, 'source' | 'written' | 'sha256'>;

/** The order of play: by day, then by match id as a number. */
export function playOrder(date: string, id: string): string {
  return `${date}/${id.replaceAll(/\d+/g, (digits) => digits.padStart(12, '0'))}`;
}
