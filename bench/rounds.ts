/** Every side once a round, and each round another one first: a server that grows, or a machine that gets busy, favours nobody. */
import type { Round } from './goal.ts';

/** A rate or a time, and the CPU it took where that was measured. */
export interface Measured {
  readonly value: number;
  readonly cpu?: number;
}

/** Jobs a second and CPU µs a job. */
export const perJob = (jobs: number, ms: number, cpuMicros: number): Measured => ({
  value: (jobs / ms) * 1_000,
  cpu: cpuMicros / jobs,
});

/** What each side gave, round by round. */
export async function inTurn<Name extends string, Found = Measured>(
  rounds: number,
  sides: Readonly<Record<Name, () => Promise<Found>>>,
): Promise<Record<Name, Found[]>> {
  const names = Object.keys(sides) as Name[];
  const found = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Found[]>;
  for (let round = 0; round < rounds; round += 1) {
    const first = round % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) found[name].push(await sides[name]());
  }
  return found;
}

/** Two sides of the same rounds, one against the other. */
export function against(ours: readonly Measured[], theirs: readonly Measured[]): Round[] {
  return ours.map((mine, round) => {
    const other = theirs[round];
    if (other === undefined)
      throw new Error(`there are ${theirs.length} rounds of one side, ${ours.length} of the other`);
    return { ours: mine.value, theirs: other.value, oursCpu: mine.cpu, theirsCpu: other.cpu };
  });
}

/** The better of several settings of one side, round by round. */
export function best(...settings: readonly (readonly Measured[])[]): Measured[] {
  return (settings[0] ?? []).map((_, round) =>
    settings.flatMap((one) => one[round] ?? []).reduce((a, b) => (b.value > a.value ? b : a)),
  );
}
