/** What the lease thread thinks of the main loop: pure, so that every case can be tried without a blocked process. */
import type { Slot } from './lease-slots.ts';

export const watchdogTickMs = 250;
/** The main loop says it is alive this often. */
export const beatEveryMs = 250;
/** Silent this long = reported, so that the report is out 2 s after the last sign of life. */
const silentMs = 1_750;
/** A tick this late means that the whole process stood still (SIGSTOP, suspended machine): nobody is to blame. */
const frozenMs = 1_000;
/** So far past its time limit an attempt ends the process at the next tick: it is dead 2 s past the limit at the latest. */
const killAfterMs = 1_500;

export interface LoopState {
  readonly tickedAt: number;
  /** End of the last freeze of the whole process, epoch ms; the loop gets the whole time again from there. */
  readonly thawedAt: number;
  /** This silence is reported already. */
  readonly isReported: boolean;
}

export interface LoopReport {
  readonly time: string;
  readonly msg: string;
  readonly silentMs: number;
  /** The attempts that were running. */
  readonly jobs: readonly string[];
}

export function judgeLoop(
  state: LoopState,
  seen: { readonly now: number; readonly beatAt: number; readonly taken: readonly Slot[] },
): { readonly state: LoopState; readonly reports: readonly LoopReport[]; readonly kill: boolean } {
  const { now, beatAt, taken } = seen;
  const thawedAt = now - state.tickedAt > watchdogTickMs + frozenMs ? now : state.thawedAt;
  const quietMs = now - Math.max(beatAt, thawedAt);
  if (quietMs < silentMs || taken.length === 0)
    return { state: { tickedAt: now, thawedAt, isReported: false }, reports: [], kill: false };
  const report = (msg: string): LoopReport => ({
    time: new Date(now).toISOString(),
    msg,
    silentMs: quietMs,
    jobs: taken.map((slot) => slot.id).slice(0, 50),
  });
  const kill = taken.some((slot) => now > slot.deadlineAt + killAfterMs);
  const reports = [
    ...(state.isReported ? [] : [report('The main loop is blocked; leases are renewed all the same.')]),
    ...(kill ? [report('An attempt blocks the main loop past its time limit: this process is ended.')] : []),
  ];
  return { state: { tickedAt: now, thawedAt, isReported: true }, reports, kill };
}
