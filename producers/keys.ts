/**
 * Bearer keys. Ours look like `jf_live_<id>_<secret><checksum>`: the prefix lets secret scanners find them, the id is
 * looked up, the checksum refuses typing errors without a look at the store. Only the SHA-256 is kept. A key of any
 * other form (JOBFLEET_KEY, see bearer.ts) is compared as it is.
 */
import { createHash, randomInt, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import type { RecordStore } from '../backends/backend.ts';
import { tenantTiers } from '../backends/tenants.ts';
import { tenantRule } from './accept.ts';

/**
 * `jobs`: enqueue, read, cancel, upload. `scaling`: how many workers a queue wants, nothing else. `operator`: that, dead
 * letters, queues and the jobs of all tenants. `admin`: keys and tenants.
 */
export const scopes = ['jobs', 'scaling', 'operator', 'admin', 'export:unmasked'] as const;
export type Scope = (typeof scopes)[number];

export interface Credential {
  /** For logs; never the key itself. */
  readonly keyId: string;
  /** Default `standard`; `premium`: ten times the rates per key. */
  readonly tier?: (typeof tenantTiers)[number] | undefined;
  readonly tenant: string;
  readonly scopes: readonly Scope[];
}

export interface Keys {
  /** Undefined for everything that is not a valid key. */
  readonly find: (key: string) => Promise<Credential | undefined>;
  /** The key is in the answer and nowhere else: it cannot be shown again. */
  readonly create: (request: {
    readonly tenant: string;
    readonly scopes: readonly Scope[];
    readonly tier?: Credential['tier'];
    /** Epoch ms. */
    readonly expiresAt?: number;
  }) => Promise<{ readonly id: string; readonly key: string }>;
  /** False when there is none. Other processes notice within five seconds. */
  readonly revoke: (id: string) => Promise<boolean>;
}

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const form = /^jf_[a-z]{2,10}_([0-9A-Za-z]{12})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})$/;
const cacheMs = 5_000;
const cached = 1_000;

const stored = z.object({
  hash: z.string(),
  tenant: z.string().regex(tenantRule),
  scopes: z.array(z.enum(scopes)),
  tier: z.enum(tenantTiers).optional(),
  expiresAt: z.number().optional(),
});

const recordKey = (id: string): string => `apikey:${id}`;
const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();

function random(length: number): string {
  return Array.from({ length }, () => base62[randomInt(62)]).join('');
}

/** CRC-32 of all before it, six characters. */
function checksum(text: string): string {
  let rest = crc32(text);
  let out = '';
  for (let place = 0; place < 6; place += 1) {
    out = `${base62[rest % 62]}${out}`;
    rest = Math.floor(rest / 62);
  }
  return out;
}

/** A key of our form. `environment`: `live`, `test`, `local`. */
export function mintKey(environment = 'live'): { readonly id: string; readonly key: string } {
  const id = random(12);
  const body = `jf_${environment}_${id}_${random(32)}`;
  return { id, key: body + checksum(body) };
}

/** Read-through, at most five seconds old and 1,000 keys; also remembers what is not there. */
function cachedKeys(records: RecordStore, now: () => number) {
  const cache = new Map<string, { readonly value: z.output<typeof stored> | undefined; readonly until: number }>();
  return {
    load: async (id: string): Promise<z.output<typeof stored> | undefined> => {
      const known = cache.get(id);
      if (known !== undefined && known.until > now()) return known.value;
      const [record] = await records.get([recordKey(id)]);
      const value = record === undefined ? undefined : stored.parse(JSON.parse(record.value));
      if (cache.size >= cached) cache.clear();
      cache.set(id, { value, until: now() + cacheMs });
      return value;
    },
    forget: (id: string): void => void cache.delete(id),
  };
}

/** `staticKey` (JOBFLEET_KEY) belongs to tenant `-` and has every scope. */
export function createKeys(parts: {
  readonly records: RecordStore;
  readonly staticKey?: string | undefined;
  readonly now?: () => number;
}): Keys {
  const now = parts.now ?? Date.now;
  const staticHash = parts.staticKey === undefined ? undefined : hashOf(parts.staticKey);
  const cache = cachedKeys(parts.records, now);
  return {
    find: async (key) => {
      const hash = hashOf(key);
      if (staticHash !== undefined && timingSafeEqual(hash, staticHash)) {
        return { keyId: 'static', tenant: '-', scopes };
      }
      const [whole, id, , sum] = form.exec(key) ?? [];
      if (whole === undefined || id === undefined || sum !== checksum(key.slice(0, -6))) return undefined;
      const record = await cache.load(id);
      if (record === undefined || !timingSafeEqual(hash, Buffer.from(record.hash, 'hex'))) return undefined;
      if (record.expiresAt !== undefined && record.expiresAt <= now()) return undefined;
      return { keyId: id, tenant: record.tenant, scopes: record.scopes, tier: record.tier };
    },
    create: async (request) => {
      const { id, key } = mintKey();
      const value = stored.parse({ ...request, hash: hashOf(key).toString('hex') });
      const written = await parts.records.putIfAbsent(recordKey(id), JSON.stringify(value), null);
      if (!written.stored) throw new Error(`A key with the id ${id} exists; try again`);
      cache.forget(id);
      return { id, key };
    },
    revoke: async (id) => {
      cache.forget(id);
      const [record] = await parts.records.get([recordKey(id)]);
      return record !== undefined && parts.records.compareAndSet(recordKey(id), record.version, null, null);
    },
  };
}
