/** BullMQ takes the client's time: a worker whose clock is off starts delayed jobs early and uses up schedule slots. */

const limitMs = 2_000;
const checkEveryMs = 60_000;

export interface ClockWatch {
  /** A sentence when this clock is more than 2 s off the store's; undefined when it is not. */
  problem(): string | undefined;
  stop(): void;
}

/** Checks at once, then every minute. A store that does not answer says nothing about the clock: the last verdict stands. */
export async function watchClock(
  storeNow: () => Promise<number>,
  onChange: (problem: string | undefined) => void,
  everyMs: number = checkEveryMs,
): Promise<ClockWatch> {
  let problem: string | undefined;
  const check = async (): Promise<void> => {
    const offMs = await clockOffset(storeNow).catch(() => undefined);
    if (offMs === undefined) return;
    const next =
      Math.abs(offMs) <= limitMs
        ? undefined
        : `The clock of this machine is ${Math.abs(offMs)} ms ${offMs > 0 ? 'behind' : 'ahead of'} the store's, at most ${limitMs} are allowed; set it (NTP).`;
    if ((next === undefined) === (problem === undefined)) return;
    problem = next;
    onChange(next);
  };
  await check();
  const timer = setInterval(() => void check(), everyMs);
  return { problem: () => problem, stop: () => clearInterval(timer) };
}

/** The store's clock minus ours in ms; undefined when the answer took too long to tell. */
async function clockOffset(storeNow: () => Promise<number>): Promise<number | undefined> {
  const before = Date.now();
  const store = await storeNow();
  const after = Date.now();
  if (after - before > limitMs) return undefined;
  return Math.round(store - (before + after) / 2);
}
