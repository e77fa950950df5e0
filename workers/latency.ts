/**
 * How long attempts took lately, in constant memory: counts by length, a slice of them for every ten seconds. Lengths are
 * known to 10 %.
 */

export interface Latency {
  note(durationMs: number): void;
  /** Of the last `windowMs`, 300,000 at most; nulls when nothing ended. */
  summary(windowMs: number): {
    readonly ended: number;
    readonly meanMs: number | null;
    readonly p50Ms: number | null;
    readonly p95Ms: number | null;
  };
}

interface Slice {
  /** Number of ten seconds on the clock that was handed in. */
  readonly at: number;
  readonly counts: Uint32Array;
  ended: number;
  sumMs: number;
}

const sliceMs = 10_000;
const slicesKept = 31;
/** Each length class is a tenth longer than the one before; the last one begins at about six hours. */
const growth = Math.log(1.1);
const classes = 180;

/** `now`: monotonic milliseconds. */
export function createLatency(now: () => number = () => performance.now()): Latency {
  let slices: Slice[] = [];
  const current = (): Slice => {
    const at = Math.floor(now() / sliceMs);
    const last = slices.at(-1);
    if (last?.at === at) return last;
    const slice: Slice = { at, counts: new Uint32Array(classes), ended: 0, sumMs: 0 };
    slices = [...slices.filter((one) => one.at > at - slicesKept), slice];
    return slice;
  };
  return {
    note(durationMs) {
      const slice = current();
      const found = Math.min(classes - 1, Math.ceil(Math.log(Math.max(1, durationMs)) / growth));
      slice.counts[found] = (slice.counts[found] ?? 0) + 1;
      slice.ended += 1;
      slice.sumMs += durationMs;
    },
    summary(windowMs) {
      const from = Math.floor((now() - windowMs) / sliceMs);
      const seen = slices.filter((slice) => slice.at > from);
      const ended = seen.reduce((sum, slice) => sum + slice.ended, 0);
      if (ended === 0) return { ended, meanMs: null, p50Ms: null, p95Ms: null };
      const sumMs = seen.reduce((sum, slice) => sum + slice.sumMs, 0);
      return {
        ended,
        meanMs: Math.round(sumMs / ended),
        p50Ms: quantile(seen, ended * 0.5),
        p95Ms: quantile(seen, ended * 0.95),
      };
    },
  };
}

/** The length that so many of the attempts did not exceed. */
function quantile(slices: readonly Slice[], wanted: number): number {
  let passed = 0;
  for (let one = 0; one < classes; one += 1) {
    for (const { counts } of slices) passed += counts[one] ?? 0;
    if (passed >= wanted) return Math.round(Math.exp(one * growth));
  }
  return Math.round(Math.exp((classes - 1) * growth));
}
