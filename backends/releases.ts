/** Which of two releases is the newer one. */

/** Negative when `a` is older than `b`, 0 when they are equal. Semver's order: numbers by value, `1.0.0-rc.1` before `1.0.0`; anything else by its text. */
export function compareReleases(a: string, b: string): number {
  const [left, right] = [parse(a), parse(b)];
  for (const [index, number] of left.numbers.entries()) {
    const difference = number - (right.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  if (left.rest === right.rest) return 0;
  if (left.rest === '') return 1;
  if (right.rest === '') return -1;
  return left.rest.localeCompare(right.rest, 'en', { numeric: true });
}

function parse(release: string): { readonly numbers: readonly number[]; readonly rest: string } {
  const [, major = '0', minor = '0', patch = '0', rest = ''] =
    /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([^+]*))?/.exec(release) ?? [];
  return { numbers: [Number(major), Number(minor), Number(patch)], rest };
}
