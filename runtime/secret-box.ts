/**
 * Seals the secret fields of payloads: AES-256-GCM under a key made by HKDF-SHA256 (RFC 5869) from a key of the ring and
 * the tenant. What is sealed names its key, and opens only for the tenant, the job and the field it was sealed for.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { ConfigurationError, commonEnv, encryptionKey, parseEnv } from './env.ts';

/** For whom something is sealed. */
export interface SecretOwner {
  readonly tenant: string;
  /** The job's id; for what a schedule brings to each of its jobs, the schedule's. */
  readonly id: string;
}

/** The lock of one owner. A field is named by its path in the payload. */
export interface SecretLock {
  /** `<key id>.<base64url of nonce, ciphertext, tag>`. */
  seal(text: string, field: string): string;
  /** Throws `SecretError`. */
  open(sealed: string, field: string): string;
}

export interface SecretBox {
  /** `repeatable`: the same text is sealed into the same text every time, as what is compared before it is written needs. */
  lockFor(owner: SecretOwner, options?: { readonly repeatable?: boolean }): SecretLock;
  /** `<key id>.<hex>`: tells equal texts of a tenant apart from others, and says nothing about them without the key. */
  digest(text: string, tenant: string): string;
  /** False as well when the key of the digest has been dropped. */
  isDigestOf(digest: string, text: string, tenant: string): boolean;
}

/** The key is not in the ring, or the sealed text is not for this owner and field, or was altered. */
export class SecretError extends Error {
  override readonly name = 'SecretError';
  readonly code = 'SECRET_UNREADABLE';
}

const variables = commonEnv.pick({ ENCRYPTION_KEY: true, ENCRYPTION_KEYS: true });

/** Undefined when no key is set. Throws `ConfigurationError` for keys that cannot be used. */
export function secretBoxOf(env: Readonly<Record<string, string | undefined>>): SecretBox | undefined {
  const { ENCRYPTION_KEY: single, ENCRYPTION_KEYS: several } = parseEnv(variables, env);
  const ring = [...readRing(several), ...(single === undefined ? [] : [{ id: 'default', key: single }])];
  const ids = ring.map(({ id }) => id);
  const twice = ids.find((id, place) => ids.indexOf(id) !== place);
  if (twice !== undefined) throw new ConfigurationError(`ENCRYPTION_KEYS names two keys "${twice}"; give each an id.`);
  return ring.length === 0 ? undefined : createSecretBox(ring);
}

interface RingKey {
  readonly id: string;
  readonly key: string;
}

function readRing(text: string | undefined): RingKey[] {
  if (text === undefined) return [];
  return text.split(',').map((entry, place) => {
    const [, id, key] = /^\s*([a-z0-9_-]{1,32}):(\S+)\s*$/.exec(entry) ?? [];
    if (id === undefined || !encryptionKey.safeParse(key).success)
      throw new ConfigurationError(
        `ENCRYPTION_KEYS, entry ${place + 1}: expected <id>:<key> with an id of lower-case letters, digits, - and _ (at most 32) and a key of 32 to 1,024 characters without spaces and commas.`,
      );
    return { id, key: key ?? '' };
  });
}

const nonceBytes = 12;
const tagBytes = 16;
/** Keys derived for tenants are kept: deriving one costs as much as sealing twenty fields. */
const keysKept = 1_000;

/** `ring`: at least one key; the first one seals. */
export function createSecretBox(ring: readonly RingKey[]): SecretBox {
  const [writing] = ring;
  if (writing === undefined) throw new RangeError('expected at least one key');
  const derive = deriver(new Map(ring.map(({ id, key }) => [id, key])));
  const mustDerive = (keyId: string, use: KeyUse, tenant: string): Buffer => {
    const key = derive(keyId, use, tenant);
    if (key === undefined)
      throw new SecretError(`It was encrypted with the key "${keyId.slice(0, 32)}", which is not in the ring.`);
    return key;
  };
  const digest = (keyId: string, text: string, tenant: string): string | undefined => {
    const key = derive(keyId, 'digest', tenant);
    return key && `${keyId}.${createHmac('sha256', key).update(text).digest('hex')}`;
  };
  return {
    lockFor: (owner, { repeatable = false } = {}) => ({
      seal(text, field) {
        const context = contextOf(writing.id, owner, field);
        // Bound to everything that is sealed, so that two different texts never share a nonce.
        const nonce = repeatable
          ? createHmac('sha256', mustDerive(writing.id, 'nonce', owner.tenant))
              .update(context)
              .update(text)
              .digest()
              .subarray(0, nonceBytes)
          : randomBytes(nonceBytes);
        return `${writing.id}.${encrypt(mustDerive(writing.id, 'fields', owner.tenant), nonce, context, text)}`;
      },
      open(sealed, field) {
        const [, keyId = '', body = ''] = /^([a-z0-9_-]{1,32})\.([A-Za-z0-9_-]{38,})$/.exec(sealed) ?? [];
        if (body === '') throw new SecretError('It is not of the form of an encrypted value.');
        return decrypt(mustDerive(keyId, 'fields', owner.tenant), contextOf(keyId, owner, field), body);
      },
    }),
    digest: (text, tenant) => digest(writing.id, text, tenant) ?? '',
    isDigestOf(given, text, tenant) {
      const own = digest(given.split('.', 1)[0] ?? '', text, tenant);
      return own !== undefined && own.length === given.length && timingSafeEqual(Buffer.from(own), Buffer.from(given));
    },
  };
}

type KeyUse = 'digest' | 'fields' | 'nonce';

function deriver(ring: ReadonlyMap<string, string>) {
  const derived = new Map<string, Buffer>();
  return (keyId: string, use: KeyUse, tenant: string): Buffer | undefined => {
    const name = `${keyId}\n${use}\n${tenant}`;
    const known = derived.get(name);
    if (known !== undefined) return known;
    const key = ring.get(keyId);
    if (key === undefined) return undefined;
    const made = Buffer.from(hkdfSync('sha256', key, 'jobfleet', `${use}\n${tenant}`, 32));
    if (derived.size >= keysKept) derived.clear();
    derived.set(name, made);
    return made;
  };
}

/** Additional data of the encryption; JSON, so that no part can pass for another. */
function contextOf(keyId: string, { tenant, id }: SecretOwner, field: string): string {
  return JSON.stringify([1, keyId, tenant, id, field]);
}

function encrypt(key: Buffer, nonce: Uint8Array, context: string, text: string): string {
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return sealed.toString('base64url');
}

function decrypt(key: Buffer, context: string, body: string): string {
  const bytes = Buffer.from(body, 'base64url');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
    .setAAD(Buffer.from(context))
    .setAuthTag(bytes.subarray(-tagBytes));
  try {
    return decipher.update(bytes.subarray(nonceBytes, -tagBytes), undefined, 'utf8') + decipher.final('utf8');
  } catch (error) {
    throw new SecretError(
      'It does not open: the key has another value than the one that encrypted it, it belongs to another job or tenant, or it was altered.',
      { cause: error },
    );
  }
}
