/**
 * Judges a run after its full drain, as Jepsen's total-queue checker does: sets of keys attempted, accepted and
 * finished, then effects, fences and verdicts. Pure: logs and records in, figures and findings out. Beside it:
 * `conservation.ts`, `restarts.ts`, `noise.ts`, `ticks.ts`.
 */
import type { EffectLine, ProducerLine, StateLine } from './logs.ts';
import { judgeRestarts } from './restarts.ts';

/** A job as the store holds it when the run is over. */
export interface FinalRecord {
  readonly id: string;
  /** The producer's key, from the payload. */
  readonly key: string;
  readonly state: string;
  /** Business attempts spent. */
  readonly attempts: number;
  /** How often it was claimed. */
  readonly claims: number;
  readonly reason?: string;
  /** What its run record says, where it was claimed more than once and the side has such records. */
  readonly run?: {
    /** `at`: epoch ms. */
    readonly causes: readonly { readonly cause: string; readonly at: number }[];
    readonly interrupted: number;
    /** Deaths of its child. */
    readonly deaths: number;
  };
}
export interface Evidence {
  readonly producer: readonly ProducerLine[];
  readonly states: readonly StateLine[];
  readonly effects: readonly EffectLine[];
  readonly records: readonly FinalRecord[];
  /** What each key was to do. `effect` undefined: none. `bad`: meant to become a dead letter. */
  readonly plan: (key: string) => { readonly effect?: EffectLine['kind']; readonly bad: boolean };
  /** Business attempts a job may spend. */
  readonly attemptsAllowed: number;
}

export type FindingKind =
  | 'lost'
  | 'unexpected'
  | 'double effect'
  | 'false dead letter'
  | 'stale write'
  | 'two verdicts'
  | 'missing effect'
  | 'too many attempts'
  | 'dead after effect'
  | 'unexplained start'
  | 'too many interruptions'
  | 'conservation'
  | 'noise'
  | 'missing tick'
  | 'double tick';

export interface Finding {
  readonly kind: FindingKind;
  /** The job, the key where there is no job, or what else it is about. */
  readonly id: string;
  readonly detail: string;
}

export interface Counts {
  readonly attempted: number;
  readonly accepted: number;
  readonly refused: number;
  /** Calls without an answer that no repeat could settle. */
  readonly unresolved: number;
  /** Calls whose answer was lost at first. */
  readonly unknown: number;
  /** Calls without an answer whose job was found stored. */
  readonly recovered: number;
  readonly completed: number;
  readonly deadLettered: number;
  /** Accepted jobs that were meant to become dead letters. */
  readonly plannedBad: number;
  readonly starts: number;
  /** Effects that happened, each once. */
  readonly effects: number;
  readonly lost: number;
  readonly unexpected: number;
  readonly doubleEffects: number;
  readonly falseDeadLetters: number;
  readonly staleWrites: number;
  /** Writes with an old fence that were turned away: the mechanism at work. */
  readonly staleRefused: number;
}

export interface Verdict {
  readonly counts: Counts;
  readonly findings: readonly Finding[];
}

const terminal = new Set(['completed', 'failed']);

export function countByKind(findings: readonly Finding[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind } of findings) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

export function check(evidence: Evidence): Verdict {
  const calls = settle(evidence.producer);
  const states = groupBy(evidence.states, (line) => line.id);
  const effects = groupBy(evidence.effects, (line) => line.id);
  const findings = [
    ...findLost(calls, evidence),
    ...findUnexpected(calls, evidence),
    ...evidence.records.flatMap((record) => judgeRecord(record, evidence, states, effects)),
    ...evidence.records.flatMap((record) => judgeRestarts(record, states.get(record.id) ?? [])),
    ...[...states].flatMap(([id, lines]) => judgeFences(id, lines)),
    ...[...effects].flatMap(([id, lines]) => judgeEffects(id, lines, states.get(id) ?? [])),
  ];
  const number = (kind: FindingKind) => findings.filter((finding) => finding.kind === kind).length;
  const inState = (state: string) => evidence.records.filter((record) => record.state === state).length;
  return {
    findings,
    counts: {
      attempted: calls.attempted.size,
      accepted: calls.accepted.size,
      refused: calls.refused.size,
      unresolved: calls.unresolved.size,
      unknown: new Set(evidence.producer.filter((line) => line.event === 'unknown').map((line) => line.id)).size,
      recovered: evidence.producer.filter((line) => line.event === 'accepted' && line.duplicate === true).length,
      completed: inState('completed'),
      deadLettered: inState('failed'),
      plannedBad: [...calls.accepted.keys()].filter((key) => evidence.plan(key).bad).length,
      starts: evidence.states.filter((line) => line.event === 'started').length,
      effects: new Set(evidence.effects.filter((line) => line.event === 'applied').map((line) => line.key)).size,
      lost: number('lost'),
      unexpected: number('unexpected'),
      doubleEffects: number('double effect'),
      falseDeadLetters: number('false dead letter'),
      staleWrites: number('stale write'),
      staleRefused: evidence.effects.filter((line) => line.kind === 'delta' && line.event === 'refused').length,
    },
  };
}

interface Calls {
  readonly attempted: ReadonlySet<string>;
  /** Key → job id. */
  readonly accepted: ReadonlyMap<string, string>;
  readonly refused: ReadonlySet<string>;
  readonly unresolved: ReadonlySet<string>;
}

function settle(lines: readonly ProducerLine[]): Calls {
  const attempted = new Set<string>();
  const accepted = new Map<string, string>();
  const refused = new Set<string>();
  for (const line of lines) {
    attempted.add(line.id);
    if (line.event === 'accepted') accepted.set(line.id, line.job ?? '');
    if (line.event === 'refused') refused.add(line.id);
    // A later call of unknown outcome may have stored what an earlier one was refused.
    if (line.event === 'unknown') refused.delete(line.id);
  }
  for (const key of accepted.keys()) refused.delete(key);
  const unresolved = new Set([...attempted].filter((key) => !accepted.has(key) && !refused.has(key)));
  return { attempted, accepted, refused, unresolved };
}

function findLost({ accepted }: Calls, { records }: Evidence): Finding[] {
  const states = new Map(records.map((record) => [record.id, record.state]));
  return [...accepted].flatMap(([key, id]) => {
    const state = states.get(id);
    if (state !== undefined && terminal.has(state)) return [];
    return [{ kind: 'lost' as const, id, detail: `accepted as ${key}, now ${state ?? 'without a record'}` }];
  });
}

function findUnexpected(calls: Calls, { records }: Evidence): Finding[] {
  return records.flatMap(({ id, key }) => {
    const accepted = calls.accepted.get(key);
    if (accepted === id || calls.unresolved.has(key)) return [];
    const detail = accepted === undefined ? `nobody was told that ${key} is accepted` : `${key} is ${accepted}`;
    return [{ kind: 'unexpected' as const, id, detail }];
  });
}

function judgeRecord(
  record: FinalRecord,
  evidence: Evidence,
  states: ReadonlyMap<string, readonly StateLine[]>,
  effects: ReadonlyMap<string, readonly EffectLine[]>,
): Finding[] {
  const { id, state, attempts, reason } = record;
  const { effect, bad } = evidence.plan(record.key);
  const findings: Finding[] = [];
  const add = (kind: FindingKind, detail: string) => void findings.push({ kind, id, detail });
  const applied = (effects.get(id) ?? []).filter((line) => line.event === 'applied').length;
  const started = (states.get(id) ?? []).filter((line) => line.event === 'started').length;
  if (state === 'failed' && !bad) add('false dead letter', reason ?? 'without a reason');
  if (state === 'failed' && applied > 0) add('dead after effect', `${effect}: ${reason ?? 'without a reason'}`);
  if (attempts > evidence.attemptsAllowed) add('too many attempts', `${attempts} of ${evidence.attemptsAllowed}`);
  // A mail whose outcome is unknown is not sent again: zero is right where another run may have sent none.
  const mayMiss = effect === 'mail' && started > 1;
  if (state === 'completed' && effect !== undefined && applied === 0 && !mayMiss)
    add('missing effect', `${effect} never reached the sink, ${started} starts`);
  return findings;
}

/** The order of the log is the order of time: a claim that stands before the end of another one was made before it. */
function judgeFences(id: string, lines: readonly StateLine[]): Finding[] {
  const findings: Finding[] = [];
  let newest = 0;
  let ends = 0;
  for (const line of lines) {
    if (line.event === 'claimed') newest = Math.max(newest, line.fence);
    if (line.event !== 'completed' && line.final !== true) continue;
    ends += 1;
    if (line.fence < newest)
      findings.push({ kind: 'stale write', id, detail: `${line.event} by claim ${line.fence} after claim ${newest}` });
  }
  if (ends > 1) findings.push({ kind: 'two verdicts', id, detail: `${ends} ends were accepted` });
  return findings;
}

function judgeEffects(id: string, lines: readonly EffectLine[], states: readonly StateLine[]): Finding[] {
  const findings: Finding[] = [];
  const applied = lines.filter((line) => line.event === 'applied');
  const sends = lines.filter((line) => line.kind === 'hook');
  const starts = states.filter((line) => line.event === 'started').length;
  const double = (detail: string) => void findings.push({ kind: 'double effect', id, detail });
  if (applied.length > 1) double(`${applied[0]?.kind ?? ''} applied ${applied.length} times`);
  else if (sends.length > starts) double(`hook sent ${sends.length} times in ${starts} starts`);
  let newest = 0;
  for (const line of lines.filter((it) => it.kind === 'delta')) {
    if (line.event === 'applied' && line.fence < newest)
      findings.push({ kind: 'stale write', id, detail: `row written by claim ${line.fence} after claim ${newest}` });
    newest = Math.max(newest, line.fence);
  }
  return findings;
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
