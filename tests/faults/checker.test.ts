import { describe, expect, it } from 'vitest';
import { check, type Evidence, type FinalRecord } from './checker.ts';
import type { EffectLine, ProducerLine, StateLine } from './logs.ts';

type Event = ProducerLine['event'];
let seq = 0;
const line = () => ({ t: (seq += 1), actor: 1, seq });
const call = (id: string, event: Event, job?: string): ProducerLine => ({
  ...line(),
  id,
  event,
  ...(job === undefined ? {} : { job }),
});
const state = (id: string, event: StateLine['event'], fence: number, final?: boolean): StateLine => ({
  ...line(),
  id,
  event,
  fence,
  ...(final === undefined ? {} : { final }),
});
const effect = (id: string, kind: EffectLine['kind'], event: EffectLine['event'], fence: number): EffectLine => ({
  ...line(),
  id,
  kind,
  event,
  fence,
  key: `${kind}-${id}`,
});
const record = (id: string, key: string, ended = 'completed'): FinalRecord => ({
  id,
  key,
  state: ended,
  attempts: 1,
  claims: 1,
});

/** Two jobs that went well. */
function clean(): { -readonly [K in keyof Evidence]: Evidence[K] } {
  return {
    producer: ['a', 'b'].flatMap((key) => [call(key, 'attempt'), call(key, 'accepted', `job-${key}`)]),
    states: ['job-a', 'job-b'].flatMap((id) => [
      state(id, 'claimed', 1),
      state(id, 'started', 1),
      state(id, 'completed', 1),
    ]),
    effects: [effect('job-a', 'mail', 'applied', 1), effect('job-b', 'delta', 'applied', 1)],
    records: [record('job-a', 'a'), record('job-b', 'b')],
    plan: (key) => ({ effect: key === 'a' ? 'mail' : 'delta', bad: false }),
    attemptsAllowed: 4,
  };
}

const kinds = (evidence: Evidence) =>
  check(evidence)
    .findings.map(({ kind, id }) => `${kind} ${id}`)
    .toSorted();

describe('the checker', () => {
  it('finds nothing where all went well', () => {
    expect(check(clean())).toMatchObject({ findings: [], counts: { accepted: 2, completed: 2, lost: 0, starts: 2 } });
  });

  it('gives four findings for one lost, one ghost, one double and one stale write', () => {
    const planted = clean();
    planted.producer = [...planted.producer, call('c', 'attempt'), call('c', 'accepted', 'job-c')];
    planted.records = [...planted.records, record('job-x', 'x')];
    planted.effects = [...planted.effects, effect('job-a', 'mail', 'applied', 1)];
    planted.states = [
      ...planted.states.filter((it) => !(it.id === 'job-b' && it.event === 'completed')),
      state('job-b', 'claimed', 2),
      state('job-b', 'completed', 1),
    ];
    planted.plan = (key) => (key === 'a' ? { effect: 'mail', bad: false } : { bad: false });
    expect(kinds(planted)).toEqual(['double effect job-a', 'lost job-c', 'stale write job-b', 'unexpected job-x']);
    expect(check(planted).counts).toMatchObject({ lost: 1, unexpected: 1, doubleEffects: 1, staleWrites: 1 });
  });

  it('counts a job that never ended, and one that ended twice', () => {
    const planted = clean();
    planted.records = [record('job-a', 'a', 'active'), record('job-b', 'b')];
    planted.states = [...planted.states, state('job-b', 'failed', 1, true)];
    expect(kinds(planted)).toEqual(['lost job-a', 'two verdicts job-b']);
  });

  it('takes a second record of an accepted key for a ghost, and one of an unanswered call for none', () => {
    const planted = clean();
    planted.producer = [...planted.producer, call('u', 'attempt'), call('u', 'unknown')];
    planted.records = [...planted.records, record('job-a2', 'a'), record('job-u', 'u')];
    planted.plan = () => ({ bad: false });
    expect(kinds(planted)).toEqual(['unexpected job-a2']);
    expect(check(planted).counts).toMatchObject({ unresolved: 1 });
  });

  it('settles a call without an answer by its repeat, and refuses a record of a refused one', () => {
    const planted = clean();
    planted.producer = [
      ...planted.producer,
      call('u', 'unknown'),
      { ...call('u', 'accepted', 'job-u'), duplicate: true },
      call('r', 'attempt'),
      call('r', 'refused'),
    ];
    planted.records = [...planted.records, record('job-u', 'u'), record('job-r', 'r')];
    planted.plan = () => ({ bad: false });
    expect(kinds(planted)).toEqual(['unexpected job-r']);
    expect(check(planted).counts).toMatchObject({ accepted: 3, recovered: 1, refused: 1, unresolved: 0 });
  });

  it('knows planned dead letters from false ones, and flags a dead letter whose effect was applied', () => {
    const planted = clean();
    planted.records = [record('job-a', 'a', 'failed'), record('job-b', 'b', 'failed')];
    planted.effects = [effect('job-a', 'mail', 'applied', 1)];
    planted.plan = (key) => ({ effect: 'mail', bad: key === 'a' });
    expect(kinds(planted)).toEqual(['dead after effect job-a', 'false dead letter job-b']);
  });

  it('lets a receiver drop repeats, a mail be left out after a crash, and nothing else', () => {
    const planted = clean();
    planted.plan = (key) => ({ effect: key === 'a' ? 'mail' : 'hook', bad: false });
    planted.states = [...planted.states, state('job-a', 'started', 2), state('job-b', 'started', 2)];
    planted.effects = [effect('job-b', 'hook', 'applied', 1), effect('job-b', 'hook', 'repeated', 2)];
    expect(kinds(planted)).toEqual([]);
    planted.effects = [...planted.effects, effect('job-b', 'hook', 'repeated', 2)];
    expect(kinds(planted)).toEqual(['double effect job-b']);
    planted.effects = [];
    expect(kinds(planted)).toEqual(['missing effect job-b']);
  });

  it('finds a row written with an old fence and an attempt too many', () => {
    const planted = clean();
    planted.effects = [
      effect('job-a', 'mail', 'applied', 1),
      effect('job-b', 'delta', 'refused', 3),
      effect('job-b', 'delta', 'applied', 1),
    ];
    planted.records = [{ ...record('job-a', 'a'), attempts: 5 }, record('job-b', 'b')];
    expect(kinds(planted)).toEqual(['stale write job-b', 'too many attempts job-a']);
  });

  it('finds a start that nobody explains, and lets one with a cause pass', () => {
    const planted = clean();
    planted.states = [...planted.states, state('job-a', 'started', 2), state('job-b', 'started', 2)];
    const run = { causes: [{ cause: 'crash', at: 1 }], interrupted: 1, deaths: 0 };
    planted.records = [
      { ...record('job-a', 'a'), claims: 2, run },
      { ...record('job-b', 'b'), claims: 2, run: { ...run, causes: [], interrupted: 0 } },
    ];
    expect(kinds(planted)).toEqual(['unexplained start job-b']);
    planted.records = [
      { ...record('job-a', 'a'), claims: 2, run: { ...run, causes: [] } },
      { ...record('job-b', 'b'), attempts: 2, claims: 2, run: { ...run, interrupted: 0 } },
    ];
    expect(kinds(planted)).toEqual(['unexplained start job-a']);
  });

  it('finds a job that was interrupted more often than its budget', () => {
    const planted = clean();
    const causes = Array.from({ length: 21 }, (_, at) => ({ cause: 'deploy', at }));
    planted.records = [
      { ...record('job-a', 'a'), claims: 22, run: { causes, interrupted: 21, deaths: 0 } },
      record('job-b', 'b'),
    ];
    expect(kinds(planted)).toEqual(['too many interruptions job-a']);
  });
});
