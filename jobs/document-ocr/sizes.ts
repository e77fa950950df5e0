/** How large a page is read. Pure. */

/** What is read at most; a larger picture is shrunk to it. */
const maxReadPixels = 12_000_000;
/** What is refused. */
export const maxSourcePixels = 50_000_000;
/** How finely a page of a PDF is drawn, unless that is more than 12 megapixels: at first, and for a second look. */
export const drawDpi = { first: 200, second: 300 } as const;
/** A scan of a page with a shorter side below this is enlarged: at 150 dpi columns are misread. */
const smallPage = 1_500;
/** 200 dpi of A4. */
const enlargedTo = 1_700;

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Points (1/72 inch) to pixels. Undefined for a page without an area. */
export function sizeForEngine(
  pointsWide: number,
  pointsHigh: number,
  wantedDpi: number,
): (Size & { readonly dpi: number }) | undefined {
  if (!(pointsWide > 0 && pointsHigh > 0) || !Number.isFinite(pointsWide * pointsHigh)) return undefined;
  const scale = Math.min(wantedDpi / 72, Math.sqrt(maxReadPixels / (pointsWide * pointsHigh)));
  const width = Math.max(1, Math.floor(pointsWide * scale));
  const height = Math.max(1, Math.floor(pointsHigh * scale));
  // A strip a point wide and a mile long would still be more.
  return width * height > maxReadPixels ? undefined : { width, height, dpi: Math.round(72 * scale) };
}

/** The size a picture is brought to before it is read: within 12 megapixels, and page-shaped scans not too small. */
export function sizeForReading({ width, height }: Size, mayEnlarge: boolean): Size {
  const scaled = (factor: number): Size => ({
    width: Math.max(1, Math.round(width * factor)),
    height: Math.max(1, Math.round(height * factor)),
  });
  if (width * height > maxReadPixels) return scaled(Math.sqrt(maxReadPixels / (width * height)) * 0.9999);
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  const isPage = long / short >= 1.2 && long / short <= 1.6;
  return mayEnlarge && isPage && short >= smallPage / 2 && short < smallPage
    ? scaled(enlargedTo / short)
    : { width, height };
}
