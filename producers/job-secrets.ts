/** The secret fields of payloads on their way into the store, and back for those who change a stored payload. */
import { createHash } from 'node:crypto';
import type { StoredSecrets } from '../backends/redrive.ts';
import { lockOf } from '../backends/secret-owner.ts';
import type { Job } from '../jobs/define.ts';
import { hasPlainSecret, openFields, sealFields } from '../jobs/secret-fields.ts';
import { type SecretBox, SecretError } from '../runtime/secret-box.ts';
import { fingerprint } from './canonical.ts';
import { ProducerError } from './errors.ts';

/** What a job about to be stored needs of them. */
export interface PreparedSecrets {
  /** The payload as it is stored under this id, as JSON. */
  readonly seal: (id: string) => string;
  /** A hash that says nothing about a short text, either. */
  readonly hash: (text: string) => string;
  readonly fingerprint: (value: unknown) => string;
  readonly isFingerprintOf: (stored: string) => boolean;
}

/** Undefined for a type without secret fields, which pays no more than this look. Throws `KEY_MISSING`. */
export function prepareSecrets(
  job: Job,
  box: SecretBox | undefined,
  { tenant, json, request }: { readonly tenant: string; readonly json: string; readonly request: () => unknown },
): PreparedSecrets | undefined {
  if (job.secretFields.length === 0) return undefined;
  if (box === undefined) throw keyMissing(job);
  const payload: unknown = JSON.parse(json);
  return {
    seal: (id) => JSON.stringify(sealFields(job.secretFields, payload, lockOf(box, job.name, { tenant, id }))),
    hash: (text) => hiddenHash(box, text, tenant),
    fingerprint: (value) => box.digest(fingerprint(value), tenant),
    isFingerprintOf: (stored) => box.isDigestOf(stored, fingerprint(request()), tenant),
  };
}

/** As long as any SHA-256 in hex. */
export function hiddenHash(box: SecretBox, text: string, tenant: string): string {
  return createHash('sha256').update(box.digest(text, tenant)).digest('hex');
}

function keyMissing({ name }: Pick<Job, 'name'>): ProducerError {
  return new ProducerError(
    'KEY_MISSING',
    `${name} has secret fields, and this process has no key to encrypt them; set ENCRYPTION_KEY.`,
  );
}

/** Of one stored job; undefined for a type without secret fields. */
export function storedSecrets(
  job: Job | undefined,
  box: SecretBox | undefined,
  owner: { readonly id: string; readonly tenant: string },
): StoredSecrets | undefined {
  if (job === undefined || job.secretFields.length === 0) return undefined;
  const lock = () => {
    if (box === undefined) throw keyMissing(job);
    return lockOf(box, job.name, owner);
  };
  return {
    open: (data) => {
      try {
        return openFields(job.secretFields, data, lock(), { plain: true });
      } catch (error) {
        if (!(error instanceof SecretError)) throw error;
        throw new ProducerError('CONFLICT', `A secret field cannot be opened. ${error.message}`, [], { cause: error });
      }
    },
    seal: (payload) => sealFields(job.secretFields, payload, lock()),
    isSealed: (data) => !hasPlainSecret(job.secretFields, data),
  };
}
