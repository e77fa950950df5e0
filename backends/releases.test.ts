import { expect, it } from 'vitest';
import { compareReleases } from './releases.ts';

it('orders releases as semver does', () => {
  const ordered = ['0', '0.1.0', '0.9.0', '0.10.0', '1.0.0-rc.2', '1.0.0-rc.10', '1.0.0', '1.0.1', '10.0.0'];
  for (const [index, release] of ordered.entries())
    for (const [other, against] of ordered.entries())
      expect(Math.sign(compareReleases(release, against)), `${release} against ${against}`).toBe(
        Math.sign(index - other),
      );
  expect(compareReleases('v1.2.0', '1.2')).toBe(0);
});
