/** How much one job reads. A season has about 75 matches; all T20 internationals ever are about 4,500. */
export const limits = {
  sourceBytes: 128 * 1_048_576,
  matches: 5_000,
  /** Files of an archive in all, those that are no match included. */
  entries: 10_000,
  /** One match; the longest Test has less than 1 MB. */
  matchBytes: 4 * 1_048_576,
  /** All matches of an archive, unpacked. */
  totalBytes: 1_073_741_824,
  /** Unpacked over packed; ball-by-ball data reach 30. */
  ratio: 100,
} as const;
