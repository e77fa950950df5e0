/** What the readers of a document agree on: fields with how sure each is, and lines. */
import type { ItemFacts } from './checks.ts';

export interface Field {
  readonly value: string | number;
  /** 0 to 1. */
  readonly confidence: number;
  /** No check makes it surer than this. Default 1. */
  readonly cap?: number;
}

export interface Item extends ItemFacts {
  readonly description?: string | undefined;
  readonly taxRate?: number | undefined;
  /** As printed: the code of the goods in India's tariff. */
  readonly hsn?: string | undefined;
}

export interface Found {
  /** By their names in `extracted_data`. */
  readonly fields: Readonly<Record<string, Field>>;
  readonly items: readonly Item[];
  readonly taxGroups?: number | undefined;
  /** Said by the reader, beside the checks. */
  readonly issues: readonly string[];
  /** Checks the reader made itself, by field: true = passed. */
  readonly agreed: Readonly<Record<string, boolean>>;
}

export const nothingFound: Found = { fields: {}, items: [], issues: [], agreed: {} };

const sure = 0.85;

/** The first reader wins, unless it was not sure and the second is surer; lines come from the first one that has any. */
export function merge(first: Found, second: Found): Found {
  const fields: Record<string, Field> = { ...second.fields };
  for (const [name, field] of Object.entries(first.fields)) {
    const other = fields[name];
    if (other === undefined || field.confidence >= sure || field.confidence >= other.confidence) fields[name] = field;
  }
  return {
    fields,
    items: first.items.length > 0 ? first.items : second.items,
    taxGroups: first.taxGroups ?? second.taxGroups,
    issues: [...new Set([...first.issues, ...second.issues])],
    agreed: { ...second.agreed, ...first.agreed },
  };
}

export function numberOf(found: Found, name: string): number | undefined {
  const value = found.fields[name]?.value;
  return typeof value === 'number' ? value : undefined;
}
