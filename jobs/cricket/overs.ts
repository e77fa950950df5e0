/** Overs as cricket writes them: 47.2 is 47 overs and 2 balls. Counted in balls; never a decimal number. */

/** `47.2` (text, or the number a JSON file holds) → 284 for overs of six balls. Undefined for what is no count of overs. */
export function ballsOf(overs: string | number, ballsPerOver: number): number | undefined {
  const match = /^(\d{1,4})(?:\.(\d))?$/.exec(String(overs));
  if (match === null) return undefined;
  return Number(match[1]) * ballsPerOver + Number(match[2] ?? 0);
}

/** 284 → `47.2`, 300 → `50.0`. */
export function oversText(balls: number, ballsPerOver: number): string {
  return `${Math.floor(balls / ballsPerOver)}.${balls % ballsPerOver}`;
}
