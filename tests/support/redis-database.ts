/**
 * Databases of the Redis of TEST_REDIS_URL, one for each test file that uses the product's own queue names: two files
 * that run at the same time never meet. Files that make up names of their own share database 0.
 */
const owners = [
  'crash',
  'crash-real',
  'cricket-fleet',
  'effects',
  'exports',
  'feeds',
  'fleet-control',
  'flows',
  'killed-fleet',
  'large-payloads',
  'media-fleet',
  'reviews',
  'schedules',
  'secret-fields',
  'shutdown',
  'slots',
  'tenant-index',
] as const;
type Owner = (typeof owners)[number];

/** Its number, the same on every server. */
export const databaseOf = (owner: Owner): number => owners.indexOf(owner) + 1;

/** Undefined where no Redis is. */
export function redisDatabase(owner: Owner): string | undefined {
  const given = process.env['TEST_REDIS_URL'];
  if (given === undefined) return undefined;
  const url = new URL(given);
  url.pathname = `/${databaseOf(owner)}`;
  return url.href;
}

/** For a list of stores: the address, or nothing where no Redis is. */
export function redisIfHere(owner: Owner): string[] {
  const url = redisDatabase(owner);
  return url === undefined ? [] : [url];
}
