/** What Redis says of itself in `INFO`. Fields a hosted Redis leaves out are undefined. */

import type { DatabaseType } from 'bullmq';

export type RedisInfo = Readonly<Partial<Record<string, string>>>;

export function readInfo(text: string): RedisInfo {
  const fields: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) fields[line.slice(0, colon)] = line.slice(colon + 1);
  }
  return fields;
}

/** True when `version` is at least `least`, compared number by number; unknown counts as new enough. */
export function isAtLeast(version: string | undefined, least: readonly number[]): boolean {
  if (version === undefined) return true;
  const parts = version.split('.').map(Number);
  for (const [index, wanted] of least.entries()) {
    const part = parts[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

export interface ServerMake {
  readonly databaseType: DatabaseType;
  readonly version: string;
}

/** Of which make and version a server is, in BullMQ's words; undefined where it does not say. */
export function madeBy(info: RedisInfo): ServerMake | undefined {
  const { dragonfly_version: dragonfly, valkey_version: valkey, redis_version: redis } = info;
  if (dragonfly !== undefined) return { databaseType: 'dragonfly', version: dragonfly };
  if (valkey !== undefined) return { databaseType: 'valkey', version: valkey };
  return redis === undefined ? undefined : { databaseType: 'redis', version: redis };
}
