/** From what was found to the result: checks, how sure every field is, issues, status. Pure. */
import { type Check, checkSums } from './checks.ts';
import {
  afterCheck,
  type DocumentType,
  expectedFields,
  overallOf,
  requiredFields,
  type Status,
  shown,
  statusOf,
  type Thresholds,
} from './confidence.ts';
import { type Found, numberOf } from './document.ts';
import { gstIssues } from './gst.ts';

export interface Assessed {
  readonly status: Status;
  /** Overall and by field, four decimals. */
  readonly scores: Readonly<Record<string, number>> & { readonly overall: number };
  readonly lineItemsSumMatchesTotal: boolean | null;
  readonly issues: readonly string[];
}

/** `textConfidence`: of all words, weighted by length; undefined = there is no text. It is what a plain document is judged by. */
export function assess(
  found: Found,
  type: DocumentType,
  textConfidence: number | undefined,
  thresholds: Thresholds,
): Assessed {
  const currency = found.fields['currency']?.value;
  const sums = checkSums({
    items: found.items,
    net: numberOf(found, 'net_amount'),
    tax: numberOf(found, 'tax_amount'),
    gross: numberOf(found, 'total_amount'),
    charges: numberOf(found, 'charges_amount'),
    allowances: numberOf(found, 'allowances_amount'),
    prepaid: numberOf(found, 'prepaid_amount'),
    due: numberOf(found, 'amount_due'),
    taxGroups: found.taxGroups,
    currency: typeof currency === 'string' ? currency : undefined,
  });
  const scores = type === 'document' ? textScore(textConfidence) : scoresOf(found, sums.checks);
  const issues = [
    ...(textConfidence === undefined && Object.keys(found.fields).length === 0 ? ['no_text'] : []),
    ...missing(type, scores),
    ...found.issues,
    ...sums.checks.filter(({ passed }) => !passed).map(({ issue }) => issue),
    ...(type === 'document' ? [] : gstIssues(found)),
  ];
  const overall = overallOf(type, scores);
  const status = statusOf({ type, overall, scores, issues, thresholds });
  const rounded = Object.fromEntries(Object.entries(scores).map(([name, value]) => [name, shown(value)]));
  return {
    status,
    scores: { ...rounded, overall: shown(overall) },
    lineItemsSumMatchesTotal: sums.lineItemsSumMatchesTotal,
    issues,
  };
}

function textScore(confidence: number | undefined): Readonly<Record<string, number>> {
  return confidence === undefined ? {} : { text: confidence };
}

/** Every passed check brings a field nearer to 1; a single failed one caps it whatever passed. */
function scoresOf(found: Found, checks: readonly Check[]): Readonly<Record<string, number>> {
  const scores: Record<string, number> = {};
  for (const [name, field] of Object.entries(found.fields)) {
    const about = checks.filter(({ fields }) => fields.includes(name)).map(({ passed }) => passed);
    const own = found.agreed[name];
    const verdicts = own === undefined ? about : [...about, own];
    const score = verdicts.toSorted((a, b) => Number(b) - Number(a)).reduce(afterCheck, field.confidence);
    scores[name] = Math.min(score, field.cap ?? 1);
  }
  return scores;
}

function missing(type: DocumentType, scores: Readonly<Record<string, number>>): string[] {
  const wanted = type === 'document' ? [] : [...requiredFields[type], ...expectedFields[type]];
  return wanted.filter((name) => scores[name] === undefined).map((name) => `missing_${name}`);
}
