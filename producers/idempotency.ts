/**
 * Idempotency keys: a record per key, written before the job, names the job for 24 hours or as long as was asked. Repeats find the same id, also
 * after a crash or a lost answer; adding an id twice is a no-op on every store.
 */
import { z } from 'zod';
import type { RecordStore } from '../backends/backend.ts';
import type { Prepared } from './accept.ts';
import { ProducerError } from './errors.ts';

const usualTtlMs = 24 * 3_600_000;

const stored = z.object({
  id: z.string(),
  fingerprint: z.string(),
  state: z.enum(['open', 'stored']),
});

export interface ClaimedKey {
  /** The id of the job that the key names. */
  readonly id: string;
  /** This call made the record. */
  readonly isNew: boolean;
  /** The job is known to be stored. */
  readonly isStored: boolean;
  /** The job is stored under this id. Losing against another call is fine: it stored the same job and confirmed first. */
  confirm(id: string): Promise<void>;
  /** Nothing was stored: the key is as if it had never been used. */
  forget(): Promise<void>;
}

type Keyed = Pick<Prepared, 'fingerprint' | 'id' | 'options' | 'tenant'> & Partial<Pick<Prepared, 'secrets'>>;

const recordKey = ({ tenant, options }: Keyed, route: string): string =>
  `idem:${tenant}:${route}:${options.idempotencyKey}`;

/** Throws `IDEMPOTENCY_MISMATCH`. `where` is put before the path of the complaint. */
export async function claimKey(records: RecordStore, keyed: Keyed, route: string, where = ''): Promise<ClaimedKey> {
  const key = recordKey(keyed, route);
  const ttlMs = keyed.options.idempotencyTtlMs ?? usualTtlMs;
  const mine = { id: keyed.id, fingerprint: keyed.fingerprint, state: 'open' } as const;
  const entry = await records.putIfAbsent(key, JSON.stringify(mine), ttlMs);
  const found = stored.parse(JSON.parse(entry.value));
  if (!entry.stored && !isSame(keyed, found.fingerprint)) throw mismatch(where);
  return {
    id: found.id,
    isNew: entry.stored,
    isStored: found.state === 'stored',
    async confirm(id) {
      await records.compareAndSet(key, entry.version, JSON.stringify({ ...found, id, state: 'stored' }), ttlMs);
    },
    async forget() {
      await records.compareAndSet(key, entry.version, null, null);
    },
  };
}

/** The id of the job that the key is known to have stored, without a claim. */
export async function replayedId(records: RecordStore, keyed: Keyed, route: string): Promise<string | undefined> {
  const [entry] = await records.get([recordKey(keyed, route)]);
  const found = entry === undefined ? undefined : stored.parse(JSON.parse(entry.value));
  if (found?.state !== 'stored') return undefined;
  if (!isSame(keyed, found.fingerprint)) throw mismatch('');
  return found.id;
}

/** A key that was rotated since makes another fingerprint of the same request. */
function isSame({ fingerprint, options, secrets }: Keyed, stored: string): boolean {
  return options.repeat === 'any' || stored === fingerprint || secrets?.isFingerprintOf(stored) === true;
}

function mismatch(where: string): ProducerError {
  const message = 'The idempotency key was used before with another request.';
  return new ProducerError(
    'IDEMPOTENCY_MISMATCH',
    where === '' ? message : `${where} ${message}`,
    where === '' ? [] : [{ path: where, message }],
  );
}
