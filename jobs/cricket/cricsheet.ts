/**
 * The layout of a Cricsheet JSON file, data versions 1.0 and 1.1 (https://cricsheet.org/format/json). What is not named here is
 * left alone: the file is kept whole, and unknown keys are never an error.
 */
import { z } from 'zod';

const name = z.string().min(1).max(200);
const runs = z.int().min(0).max(1_000);
const day = z.iso.date();

const extras = z.object({
  wides: runs.optional(),
  noballs: runs.optional(),
  byes: runs.optional(),
  legbyes: runs.optional(),
  penalty: runs.optional(),
});

const delivery = z.object({
  batter: name,
  bowler: name,
  non_striker: name,
  runs: z.object({ batter: runs, extras: runs, total: runs, non_boundary: z.boolean().optional() }),
  extras: extras.optional(),
  wickets: z
    .array(z.object({ kind: name, player_out: name }))
    .max(4)
    .optional(),
  replacements: z
    .object({
      match: z.array(z.object({ in: name, team: name })).optional(),
    })
    .optional(),
});

const over = z.object({ over: z.int().min(0).max(999), deliveries: z.array(delivery).max(100) });

const innings = z.object({
  team: name,
  overs: z.array(over).max(1_000).optional(),
  target: z.object({ runs: z.int().min(0).max(10_000).optional(), overs: z.number().optional() }).optional(),
  super_over: z.boolean().optional(),
  declared: z.boolean().optional(),
  forfeited: z.boolean().optional(),
  absent_hurt: z.array(name).max(11).optional(),
  miscounted_overs: z.record(z.string(), z.unknown()).optional(),
  penalty_runs: z.object({ pre: runs.optional(), post: runs.optional() }).optional(),
});

const info = z.object({
  balls_per_over: z.int().min(1).max(12).default(6),
  city: name.optional(),
  dates: z.array(day).min(1).max(60),
  event: z
    .object({
      name: name.optional(),
      match_number: z.number().optional(),
      group: z.union([name, z.number()]).optional(),
      stage: name.optional(),
    })
    .optional(),
  gender: z.enum(['male', 'female']),
  match_type: name,
  outcome: z.object({
    winner: name.optional(),
    by: z.object({ runs: runs.optional(), wickets: runs.optional(), innings: runs.optional() }).optional(),
    result: z.enum(['tie', 'draw', 'no result']).optional(),
    eliminator: name.optional(),
    bowl_out: name.optional(),
    method: name.optional(),
  }),
  overs: z.int().min(1).max(1_000).optional(),
  players: z.record(name, z.array(name).max(50)).default({}),
  registry: z.object({ people: z.record(name, name).default({}) }).default({ people: {} }),
  season: z.union([name, z.int()]),
  team_type: z.enum(['club', 'international']),
  teams: z.array(name).length(2),
  venue: name.optional(),
});

export const cricsheetFile = z.object({
  meta: z.object({
    data_version: z.string().regex(/^1\.\d+(?:\.\d+)?$/, 'expected data version 1.x'),
    created: day,
    revision: z.int().min(0),
  }),
  info,
  innings: z.array(innings).max(40).default([]),
});

export type CricsheetFile = z.output<typeof cricsheetFile>;
export type CricsheetInnings = z.output<typeof innings>;
export type Delivery = z.output<typeof delivery>;
