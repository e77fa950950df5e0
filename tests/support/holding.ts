/**
 * Stops jobs of a worker process at one step of what they do outside, for a test that then kills the process. Only first
 * claims are stopped: the process that comes after takes the killed ones over, and stops jobs of its own.
 */
import type { FleetOptions } from '../../workers/main.ts';

export const steps = ['before intent', 'after intent', 'effect', 'before confirm', 'after confirm'] as const;
export type Step = (typeof steps)[number];

/**
 * Jobs whose effect goes through a once-record are stopped at that record; at `effect` nothing is stopped here: whoever was
 * asked does not answer. Of jobs that only write (documents, objects, other jobs) the n-th write counts, by tenant.
 */
export interface Hold {
  readonly step: Step;
  /** By tenant; `type` is that of the job that is stopped before its end is stored. */
  readonly writers: Readonly<
    Record<string, { readonly write: number; readonly when: 'before' | 'after' } | { readonly type: string }>
  >;
}

type Parts = Pick<FleetOptions, 'backend' | 'client' | 'documents' | 'objects'>;

/** The once-record of the effect itself, written by a first claim; others are notes beside it. */
const isEffect = (key: string, value: string): boolean =>
  /:(?:send|mail|try-1)$/.test(key) && (JSON.parse(value) as { fence?: number }).fence === 1;

/** Prints `held <job or tenant>` for each that has come to its step, and never goes on with it. */
export function holding(parts: Parts, { step, writers }: Hold): Parts {
  const stop = (name: string): Promise<never> => {
    process.stdout.write(`held ${name}\n`);
    return new Promise(() => undefined);
  };
  const stopOnce = (key: string): Promise<never> => stop(key.split(':').slice(1, 3).join(':'));
  /** Records of effects that began here. A job that is done touches those of its earlier claims once more. */
  const begun = new Set<string>();
  const writes = new Map<string, number>();
  const write = async <T>(tenant: string, call: () => Promise<T>): Promise<T> => {
    const at = writers[tenant];
    const count = (writes.get(tenant) ?? 0) + 1;
    writes.set(tenant, count);
    const when = at !== undefined && 'write' in at && at.write === count ? at.when : undefined;
    if (when === 'before') return stop(tenant);
    const done = await call();
    return when === 'after' ? stop(tenant) : done;
  };
  const { backend, client, documents, objects } = parts;
  const { records } = backend;
  return {
    backend: {
      ...backend,
      records: {
        ...records,
        async putIfAbsent(key, value, ttlMs) {
          if (!isEffect(key, value)) return records.putIfAbsent(key, value, ttlMs);
          if (step === 'before intent') return stopOnce(key);
          begun.add(key);
          const stored = await records.putIfAbsent(key, value, ttlMs);
          return step === 'after intent' ? stopOnce(key) : stored;
        },
        async compareAndSet(key, version, value, ttlMs) {
          const isIt = begun.has(key);
          if (isIt && step === 'before confirm') return stopOnce(key);
          const done = await records.compareAndSet(key, version, value, ttlMs);
          return isIt && step === 'after confirm' ? stopOnce(key) : done;
        },
      },
      worker: (name, processor, tuning) =>
        backend.worker(
          name,
          async (job, token) => {
            const result: unknown = await processor(job, token);
            const { jobfleet } = job.opts as { readonly jobfleet?: { readonly tenant?: string } };
            const tenant = jobfleet?.tenant ?? '-';
            const at = writers[tenant];
            return at !== undefined && 'type' in at && at.type === name ? stop(tenant) : result;
          },
          tuning,
        ),
    },
    client: {
      ...client,
      enqueue: (job, payload, options) => write(options.tenant ?? '-', () => client.enqueue(job, payload, options)),
    },
    documents: documents && {
      ...documents,
      of(tenant) {
        const own = documents.of(tenant);
        return {
          ...own,
          put: (...call) => write(tenant, () => own.put(...call)),
          putMany: (...call) => write(tenant, () => own.putMany(...call)),
          remove: (...call) => write(tenant, () => own.remove(...call)),
          removePrefix: (...call) => write(tenant, () => own.removePrefix(...call)),
        };
      },
    },
    objects: {
      ...objects,
      put: (key, ...rest) => write(key.split('/')[1] ?? '', () => objects.put(key, ...rest)),
    },
  };
}
