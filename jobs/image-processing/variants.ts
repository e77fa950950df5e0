/** Which sizes a source gives. Pure. */

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The longest side that every output format can hold (WebP's limit). */
export const maxSide = 16_383;

/** Heights are rounded half up and never 0. */
function atWidth(source: Size, width: number): Size {
  const height = Math.floor((source.height * width) / source.width + 0.5);
  return { width, height: Math.min(maxSide, Math.max(1, height)) };
}

/**
 * The sizes to make, widest first and each once. A width above the source is dropped; when none is left, the source's
 * own size remains. A source too tall for the formats counts as one that has been shrunk to fit. `source` is upright.
 */
export function planSizes(source: Size, widths: readonly number[]): Size[] {
  const fit = Math.min(1, maxSide / source.width, maxSide / source.height);
  const widest = Math.max(1, Math.floor(source.width * fit));
  const usable = [...new Set(widths)].filter((width) => width <= widest).toSorted((a, b) => b - a);
  return (usable.length === 0 ? [widest] : usable).map((width) => atWidth(source, width));
}
