/** What stops, pauses or tunes the claims of one process: leases, clock, cancels, paused tenants, set concurrencies. */
import { mostConcurrency } from '../backends/tunings.ts';
import type { Job } from '../jobs/define.ts';
import { type Availability, announce, type Provided } from './availability.ts';
import { watchCancels } from './cancels.ts';
import { type StoreClock, watchClock } from './clock.ts';
import { type Leases, openLeases } from './leases.ts';
import type { Loops } from './loops.ts';
import type { FleetOptions } from './main.ts';
import { type TenantPauses, watchTenantPauses } from './tenant-pauses.ts';
import { type Tunings, watchTunings } from './tuning.ts';
import type { Held } from './worker.ts';

/** What the parts of one fleet share. */
export interface FleetState {
  readonly held: Set<Held>;
  readonly leaseMs: number;
  readonly concurrencyOf: (job: Job) => number;
  /** The loops are there and may be told to claim. */
  isStarted: boolean;
  isStopping: boolean;
  /** Ids: the last claim of a paused loop may be a job that was handed back before. */
  readonly handedBack: Set<string>;
  /** What operators set; nothing until it was read. */
  tunings: Pick<Tunings, 'of'>;
  /** Something that the list of workers shows has changed. */
  changed: () => void;
}

export interface Guards {
  readonly leases: Leases;
  readonly clock: StoreClock;
  readonly tenants: Pick<TenantPauses, 'refusal'>;
  /** Why nothing may be claimed now. */
  readonly problem: () => string | undefined;
  close(): Promise<void>;
}

const announceEveryMs = 20_000;
/** Claims of one queue that may be held beside the running ones while they change hands. */
const spareSlots = 4;

/** They pause and resume the claim loops. */
export async function openGuards(
  options: FleetOptions,
  available: Availability,
  has: Provided,
  state: FleetState,
  loops: Loops,
): Promise<Guards> {
  const { backend, log, metrics, registry } = options;
  const problems: { lease?: string | undefined; clock?: string | undefined } = {};
  const problem = (): string | undefined => problems.lease ?? problems.clock;
  const note = (kind: 'clock' | 'lease') => (next: string | undefined) => {
    if (next !== undefined) log.error({ reason: next }, 'not claiming');
    else if (problems[kind] !== undefined) log.info({ was: problems[kind] }, 'claiming again');
    problems[kind] = next;
    state.changed();
    if (state.isStarted) loops.setClaiming(problem() === undefined);
  };
  // Types that cannot run yet, too: they may later.
  const late = [...available.unavailable.keys()]
    .map((name) => registry.jobs.get(name))
    .filter((job) => job !== undefined);
  const wanted = [...available.served.map(({ job }) => job), ...late];
  const say = (): Promise<void> =>
    announce(backend.records, available, has).catch((error: unknown) =>
      log.warn({ err: error }, 'job types not announced'),
    );
  const openingClock = watchClock({
    storeNow: () => backend.now(),
    onChange: note('clock'),
    onCompared: (offMs) => metrics.clockOffset.set(offMs / 1_000),
  });
  const opened: { close(): Promise<void> | void }[] = [{ close: async () => (await openingClock).stop() }];
  const close = async (): Promise<void> => {
    for (const one of opened.toReversed()) await one.close();
  };
  const keep = async <T>(opening: Promise<T>, closeIt: (it: T) => Promise<void> | void): Promise<T> => {
    const it = await opening;
    opened.push({ close: () => closeIt(it) });
    return it;
  };
  const onError = (error: unknown): void => log.warn({ err: error }, 'records of operators were not read');
  // The thread takes its time to start; the others ask the store meanwhile.
  const openings = [
    keep(openFleetLeases(options, wanted, state, note('lease')), (leases) => leases.close()),
    openingClock,
    keep(openTenants(options, openingClock, onError), (tenants) => tenants.stop()),
    keep(openTunings(options, wanted, state, loops, onError), (tunings) => tunings.stop()),
    say(),
  ] as const;
  const [leases, clock, tenants, tunings] = await Promise.all(openings).catch(async (error: unknown) => {
    await Promise.allSettled(openings);
    await close();
    throw error;
  });
  state.tunings = tunings;
  const stopCancels = watchCancels(
    backend,
    () => [...state.held],
    (error) => log.warn({ err: error }, 'the cancel records were not read'),
  );
  const saying = setInterval(() => void say(), announceEveryMs);
  return {
    leases,
    clock,
    tenants,
    problem,
    async close() {
      clearInterval(saying);
      await stopCancels();
      await close();
    },
  };
}

function openFleetLeases(
  { backend }: FleetOptions,
  wanted: readonly Job[],
  state: FleetState,
  onChange: (problem: string | undefined) => void,
): Promise<Leases> {
  return openLeases({
    connection: backend.leaseConnection,
    leaseMs: state.leaseMs,
    queues: wanted.map((job) => job.name),
    // Memory that nobody has written to costs nothing, and operators may set more than the type declares.
    slots: wanted.reduce((sum, job) => sum + Math.max(state.concurrencyOf(job), mostConcurrency) + spareSlots, 0),
    onLost: ({ queue, id, token }) => {
      for (const { running, token: own, graceMs } of state.held)
        if (own === token && running.claim.id === id && running.claim.queue === queue)
          running.abort('LEASE_LOST', graceMs);
    },
    onChange,
  });
}

async function openTenants(
  { backend }: FleetOptions,
  clock: Promise<StoreClock>,
  onError: (error: unknown) => void,
): Promise<TenantPauses> {
  const { now } = await clock;
  return watchTenantPauses({ backend, onError, now, random: Math.random });
}

function openTunings(
  { backend, log }: FleetOptions,
  wanted: readonly Job[],
  state: FleetState,
  loops: Loops,
  onError: (error: unknown) => void,
): Promise<Tunings> {
  const jobs = new Map(wanted.map((job) => [job.name, job]));
  return watchTunings({
    backend,
    queues: [...jobs.keys()],
    onError,
    onChange: (queue) => {
      const job = jobs.get(queue);
      if (job === undefined) return;
      const concurrency = state.concurrencyOf(job);
      loops.setConcurrency(queue, concurrency);
      state.changed();
      log.info({ queue, concurrency }, 'concurrency changed by an operator');
    },
  });
}
