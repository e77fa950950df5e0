/** Why a job ran more than once: each start but the last needs a reason in its record, and reasons have a budget. */
import type { FinalRecord, Finding } from './checker.ts';
import type { StateLine } from './logs.ts';

const interruptionsAllowed = 20;

/** Nothing about a side that keeps no such records. */
export function judgeRestarts({ id, state, attempts, run }: FinalRecord, lines: readonly StateLine[]): Finding[] {
  if (run === undefined) return [];
  const findings: Finding[] = [];
  const starts = lines.filter((line) => line.event === 'started').length;
  // The attempt that completed is counted among the attempts.
  const failures = state === 'completed' ? attempts - 1 : attempts;
  const last = state === 'completed' ? 1 : 0;
  const explained = last + failures + run.interrupted + run.deaths;
  if (starts > explained)
    findings.push({
      kind: 'unexplained start',
      id,
      detail: `${starts} starts; ${failures} failed attempts, ${run.interrupted} interruptions and ${run.deaths} dead children are recorded`,
    });
  if (run.causes.length < Math.min(run.interrupted, interruptionsAllowed))
    findings.push({
      kind: 'unexplained start',
      id,
      detail: `${run.interrupted} interruptions, ${run.causes.length} causes`,
    });
  if (run.interrupted > interruptionsAllowed)
    findings.push({
      kind: 'too many interruptions',
      id,
      detail: `${run.interrupted}, at most ${interruptionsAllowed}: ${run.causes.map(({ cause }) => cause).join(', ')}`,
    });
  return findings;
}
