/** What a ranking method is: a state that is moved on step by step, and what it says of each team at the end. */
import type { Played } from './played.ts';

/** A state is JSON, so that it can be kept as a checkpoint. */
export interface Step<S> {
  /** The day after which it has happened. */
  readonly day: string;
  readonly apply: (state: S) => void;
}

export interface Standing {
  readonly teamId: string;
  /** As printed. */
  readonly rating: number;
  /** What the order and the totals are made of, in whole numbers: see each method. */
  readonly exact: Readonly<Record<string, number>>;
  readonly matches: number;
}

export interface Method<S> {
  readonly fresh: () => S;
  /** A state that came back from the store; throws for what is none. */
  readonly read: (kept: unknown) => S;
  /**
   * All steps of these matches (in order of play) after the day `after` (exclusive; empty: all) up to `until`, in order. A
   * month that has ended is stepped the same whether or not more months follow.
   */
  readonly steps: (matches: readonly Played[], after: string, until: string) => readonly Step<S>[];
  /** Of month ends: false where something is open that a checkpoint would cut. */
  readonly keepable: (matches: readonly Played[]) => (monthEnd: string) => boolean;
  /** How many days before a changed match the ranking may change. */
  readonly reachesBackDays: number;
  /** Best first. */
  readonly standings: (state: S, asOf: string, options: { readonly minMatches: number }) => readonly Standing[];
}
