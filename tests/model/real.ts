/** The same calls on a real store: two processes' worth of clients, workers claimed by hand, and a lease that can end at will. */
import type { Job as StoredJob, Worker } from 'bullmq';
import { Pool } from 'pg';
import type { Backend } from '../../backends/backend.ts';
import { createDeadLetters, type DeadLetters } from '../../backends/dead-letters.ts';
import { openBackend } from '../../backends/open.ts';
import type { Job } from '../../jobs/define.ts';
import type { Registry } from '../../jobs/registry.ts';
import { type Client, createClient } from '../../producers/client.ts';

export interface Side {
  readonly backend: Backend;
  readonly client: Client;
  readonly worker: Worker;
  readonly deadLetters: DeadLetters;
}

export interface Held {
  readonly job: StoredJob;
  readonly token: string;
}

export interface Store {
  readonly type: Job;
  readonly registry: Registry;
  readonly sides: readonly [Side, Side];
  /** Ends the lease of a running job. */
  readonly expire: (id: string) => Promise<void>;
  /** Gives back what runs without a lease, as a claim loop of any worker does. */
  readonly sweep: () => Promise<void>;
  /** Both. */
  readonly loseLease: (id: string) => Promise<void>;
  /** Kills the server and starts it again; undefined where it is not ours alone. */
  readonly restart: (() => Promise<void>) | undefined;
  readonly clear: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** What one sequence of commands holds. */
export interface Real {
  readonly store: Store;
  /** Claims that are good. */
  readonly held: Map<string, Held>;
  /** Claims that were lost, ended or handed back: nothing may come of them. */
  readonly stale: Held[];
  /** Makes this sequence's idempotency keys its own: they outlive their jobs. */
  readonly keyPrefix: string;
  /** The first of this sequence's own slots of a schedule: what was noted of a job outlives it too. */
  readonly firstSlot: number;
  tokens: number;
}

const fail = (error: Error): void => void process.stderr.write(`${error.message}\n`);

export async function openStore(url: string, type: Job, restart?: Store['restart']): Promise<Store> {
  const registry: Registry = {
    jobs: new Map([[type.name, type]]),
    find: (name) => (name === type.name ? type : undefined),
    handler: () => Promise.reject(new Error('the model runs no handler')),
    handlerUrl: () => '',
  };
  const first = await openBackend(url, { onError: fail });
  const second = await openBackend(first.leaseConnection.url, { onError: fail });
  const sideOf = (backend: Backend): Side => ({
    backend,
    client: createClient({ backend, registry }),
    deadLetters: createDeadLetters({ backend, queues: [type.name], checkPayload: () => undefined }),
    worker: backend.worker(type.name, () => Promise.resolve(), {
      concurrency: 4,
      leaseMs: 60_000,
      backoff: (error) => (error.message === 'dead' ? -1 : 0),
    }).worker,
  });
  const sides = [sideOf(first), sideOf(second)] as const;
  const queue = first.queue(type.name);
  const leases = await openLeases(first, type.name);
  // Twice: Redis marks first what it sweeps the next time.
  const sweep = async (): Promise<void> => {
    for (let round = 0; round < 2; round += 1) {
      await leases.sweepIsDue();
      await sides[1].worker.getBackend().moveStalledJobsToWait();
    }
  };
  return {
    type,
    registry,
    sides,
    expire: leases.expire,
    sweep,
    loseLease: async (id) => {
      await leases.expire(id);
      await sweep();
    },
    restart,
    clear: () => queue.obliterate({ force: true }),
    close: async () => {
      await leases.close();
      for (const { worker } of sides) await worker.close(true);
      await second.close();
      await first.close();
    },
  };
}

interface Leases {
  readonly expire: (id: string) => Promise<void>;
  /** Sweeps keep a distance to each other, by the clock too. */
  readonly sweepIsDue: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Leases end by the clock; a model has none, so they are ended where they are kept. */
async function openLeases(backend: Backend, queue: string): Promise<Leases> {
  const { leaseConnection: connection } = backend;
  if (connection.kind === 'redis') {
    const client = await backend.queue(queue).getBackend().client;
    const forget = async (name: string): Promise<void> => void (await client.del(backend.queue(queue).toKey(name)));
    return {
      expire: (id) => forget(`${id}:lock`),
      sweepIsDue: () => forget('stalled-check'),
      close: () => Promise.resolve(),
    };
  }
  const pool = new Pool({ connectionString: connection.url, max: 1 });
  const { schema } = connection;
  return {
    expire: async (id) => {
      await pool.query(`UPDATE ${schema}.job SET locked_until_ms = 0 WHERE queue = $1 AND id = $2`, [queue, id]);
    },
    sweepIsDue: async () => {
      await pool.query(`DELETE FROM ${schema}.meta WHERE queue = $1 AND field = 'stalled-check'`, [queue]);
    },
    close: () => pool.end(),
  };
}
