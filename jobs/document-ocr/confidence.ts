/** How sure a field is, and what follows from it. Pure: domain rules with their numbers in one place. */
import type { Word } from './words.ts';

export type DocumentType = 'invoice' | 'receipt' | 'document';
export type Status = 'completed' | 'review_required' | 'failed';

/** How the value stands to the label that names it. */
export type Evidence = 'same_line' | 'above' | 'alone' | 'ambiguous';

const factors: Readonly<Record<Evidence, number>> = { same_line: 1, above: 0.97, alone: 0.8, ambiguous: 0.7 };
/** Where a passed check is no proof: a value that failed one is at most this sure. */
const failedCap = 0.8;

export const baseOf = { xml: 1, text_layer: 0.99 } as const;

/** Numbers and dates are as sure as their worst word, names and addresses as their words on average. */
export function fieldConfidence(
  words: readonly Pick<Word, 'confidence'>[],
  kind: 'exact' | 'words',
  evidence: Evidence,
): number {
  if (words.length === 0) return 0;
  const all = words.map(({ confidence }) => confidence);
  const base = kind === 'exact' ? Math.min(...all) : all.reduce((a, b) => a + b, 0) / all.length;
  return base * factors[evidence];
}

/** A passed cross-check halves the distance to certainty; a failed one caps. */
export function afterCheck(confidence: number, passed: boolean): number {
  return passed ? 1 - (1 - confidence) / 2 : Math.min(confidence, failedCap);
}

export const requiredFields: Readonly<Record<DocumentType, readonly string[]>> = {
  invoice: ['invoice_number', 'total_amount'],
  receipt: ['total_amount'],
  document: ['text'],
};
export const expectedFields: Readonly<Record<DocumentType, readonly string[]>> = {
  invoice: ['date', 'seller_name', 'currency'],
  receipt: ['date', 'seller_name', 'currency'],
  document: [],
};

/** Mean of the required fields; a missing one counts 0. */
export function overallOf(type: DocumentType, scores: Readonly<Record<string, number>>): number {
  const required = requiredFields[type];
  return required.reduce((all, name) => all + (scores[name] ?? 0), 0) / required.length;
}

export interface Thresholds {
  readonly overall: number;
  /** Fields with a threshold of their own. */
  readonly fields: Readonly<Record<string, number>>;
}

/** 0.85 passes, 0.8499 does not: compared as computed, rounded only to be shown. */
export function statusOf(facts: {
  readonly type: DocumentType;
  readonly overall: number;
  readonly scores: Readonly<Record<string, number>>;
  readonly issues: readonly string[];
  readonly thresholds: Thresholds;
}): Status {
  const { type, overall, scores, issues, thresholds } = facts;
  if (requiredFields[type].some((name) => scores[name] === undefined)) return 'failed';
  const counted = [...requiredFields[type], ...expectedFields[type]];
  const isLow = counted.some((name) => {
    const score = scores[name];
    return score !== undefined && score < (thresholds.fields[name] ?? thresholds.overall);
  });
  return overall < thresholds.overall || isLow || issues.length > 0 ? 'review_required' : 'completed';
}

/** As it is shown: four decimals. */
export const shown = (value: number): number => Math.round(value * 10_000) / 10_000;
