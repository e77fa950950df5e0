/**
 * Once-records: intent → effect → result. The intent carries the fence of the claim that wrote it, so that a run which
 * lost its lease neither begins an effect nor confirms one over its successor.
 */
import type { RecordStore } from '../../backends/backend.ts';
import { oncePrefix, onceRecord } from '../../backends/once-record.ts';
import { giveUp, retry } from '../../jobs/errors.ts';
import type { OnceAnswer } from '../context.ts';

const ttlMs = 45 * 86_400_000;
const resultLimitBytes = 16_000;

export interface Once {
  /** Throws `LOCKED` (retry) when a newer claim of the job has begun the same effect. */
  begin(key: string, whenUnknown: 'repeat' | 'skip'): Promise<OnceAnswer>;
  /** Throws `RESULT_INVALID` (dead) for a result over 16,000 bytes of JSON: the effect has happened, repeating it cannot help. */
  end(key: string, result: unknown): Promise<void>;
  /** The effect has certainly not happened: drops the intent, unless a newer claim has begun it meanwhile. */
  forget(key: string): Promise<void>;
  /** The records that this attempt has used, whoever wrote them last. */
  names(): Iterable<string>;
}

/** `scope` names the job; keys contain neither the attempt nor the run. */
export function createOnce(
  records: RecordStore,
  scope: { readonly queue: string; readonly id: string; readonly fence: number },
): Once {
  /** Record names used by this attempt, with the version where it is known. */
  const used = new Map<string, number | undefined>();
  /** Record names whose effect this attempt may have begun. */
  const begun = new Set<string>();
  const recordKey = (key: string): string => oncePrefix(scope.queue, scope.id) + checkOnceKey(key);
  const stale = (key: string) => retry('LOCKED', `A newer claim of this job holds once("${key}"); this run is stale.`);
  return {
    async begin(key, whenUnknown) {
      const name = recordKey(key);
      const intent = JSON.stringify({ state: 'begun', fence: scope.fence });
      // A write whose answer was lost with the connection is repeated and then meets itself: an intent of this very claim,
      // before this run has begun the effect, is ours.
      const isFirst = !begun.has(name);
      begun.add(name);
      const entry = await records.putIfAbsent(name, intent, ttlMs).catch((error: unknown) => {
        if (isFirst) begun.delete(name);
        throw error;
      });
      used.set(name, entry.stored ? entry.version : undefined);
      if (entry.stored) return { state: 'run' };
      const found = onceRecord.parse(JSON.parse(entry.value));
      if (found.state === 'done') return { state: 'done', result: found.result };
      if (isFirst && found.fence === scope.fence) return { state: 'run' };
      if (found.fence > scope.fence) throw stale(key);
      if (whenUnknown === 'skip') return { state: 'skip' };
      if (await records.compareAndSet(name, entry.version, intent, ttlMs)) return { state: 'run' };
      // Written unseen and then again, or by a newer claim.
      const [now] = await records.get([name]);
      if (now?.value !== intent) throw stale(key);
      return { state: 'run' };
    },
    async end(key, result) {
      const name = recordKey(key);
      const value = JSON.stringify({ state: 'done', fence: scope.fence, result });
      const sizeBytes = Buffer.byteLength(value);
      if (sizeBytes > resultLimitBytes)
        throw giveUp(
          'RESULT_INVALID',
          `The result of once("${key}") has ${sizeBytes} bytes of JSON, at most ${resultLimitBytes} are kept; return an id or a key instead.`,
        );
      const version = used.get(name);
      // The usual case: nobody touched the intent since this attempt wrote it.
      if (version !== undefined && (await records.compareAndSet(name, version, value, ttlMs))) return;
      const [entry] = await records.get([name]);
      const found = entry === undefined ? undefined : onceRecord.parse(JSON.parse(entry.value));
      if (found === undefined || entry === undefined) {
        await records.putIfAbsent(name, value, ttlMs);
        return;
      }
      if (found.fence > scope.fence) throw stale(key);
      if (found.state === 'done') return;
      if (!(await records.compareAndSet(name, entry.version, value, ttlMs))) throw stale(key);
    },
    async forget(key) {
      const name = recordKey(key);
      const [entry] = await records.get([name]);
      const found = entry === undefined ? undefined : onceRecord.parse(JSON.parse(entry.value));
      if (entry !== undefined && found?.state === 'begun' && found.fence === scope.fence)
        await records.compareAndSet(name, entry.version, null, null);
      begun.delete(name);
      used.delete(name);
    },
    names: () => used.keys(),
  };
}

/** Keys stand in record names: 1–200 visible characters. */
function checkOnceKey(key: string): string {
  if (key.length === 0 || key.length > 200 || !/^[\x21-\x7e]+$/.test(key))
    throw giveUp(
      'RESULT_INVALID',
      `once() was called with a key of ${key.length} characters; expected 1 to 200 visible ASCII characters.`,
    );
  return key;
}
