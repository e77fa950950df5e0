/** Which rates moved, and how badly. Pure. */

export type Rates = Readonly<Record<string, number>>;

export interface Limits {
  readonly alertPercent: number;
  readonly highPercent: number;
  readonly anomalyPercent: number;
}

export interface Change {
  readonly currency: string;
  /** Of the old rate; negative = it fell. */
  readonly percent: number;
  readonly severity: 'medium' | 'high' | 'anomaly';
}

/** Rates that moved by more than `alertPercent`, by currency. New currencies have moved from nowhere and are left out. */
export function changesOf(before: Rates, now: Rates, limits: Limits): Change[] {
  return Object.keys(now)
    .toSorted()
    .flatMap((currency) => {
      const [old, rate] = [before[currency], now[currency]];
      if (old === undefined || rate === undefined) return [];
      const percent = ((rate - old) / old) * 100;
      const moved = Math.abs(percent);
      if (moved <= limits.alertPercent) return [];
      const severity = moved > limits.anomalyPercent ? 'anomaly' : moved > limits.highPercent ? 'high' : 'medium';
      return [{ currency, percent, severity } as const];
    });
}
