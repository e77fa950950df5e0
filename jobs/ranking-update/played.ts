/** A match as rankings see it. */
import { keptMatch } from '../cricket/match.ts';

const slim = keptMatch.pick({
  _id: true,
  date: true,
  order: true,
  competition: true,
  teams: true,
  outcome: true,
});

export interface Played {
  readonly id: string;
  /** The first day. */
  readonly date: string;
  readonly order: string;
  readonly competition: string | null;
  readonly teams: readonly [string, string];
  readonly names: readonly [string, string];
  /** Of the first team; a match tied and settled by a super over is a tie. */
  readonly result: 'win' | 'tie' | 'loss';
}

/** A kept match, or undefined for one that no ranking counts: no result, abandoned. */
export function playedOf(document: unknown): Played | undefined {
  const { _id: id, date, order, competition, teams, outcome } = slim.parse(document);
  if (outcome.result === 'no result') return undefined;
  const [a, b] = teams;
  const result = outcome.winner === null ? 'tie' : outcome.winner === a.id ? 'win' : 'loss';
  return { id, date, order, competition, teams: [a.id, b.id], names: [a.name, b.name], result };
}
