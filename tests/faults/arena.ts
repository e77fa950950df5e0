/** What a scenario may touch while the load runs: the workers, the store, the clock of the run, seeded chance. */
import { setTimeout as wait } from 'node:timers/promises';
import { type FaultLine, logPaths, openLog, type ProducerLine, readLog } from './logs.ts';
import { createRandom, type Load, numberOf } from './plan.ts';
import { type Ended, type ProcessOptions, type Started, startProcess } from './processes.ts';
import type { StoreName, StoreServer } from './servers.ts';
import { type SideSettings, settingsVariable } from './side.ts';

export interface WorkerProcess extends Started {
  /** Told to stop, or killed on purpose: its end is no surprise. */
  isLeaving: boolean;
  /** It claims. */
  isReady: boolean;
}

/** A worker that was asked to stop. */
export interface Stop {
  readonly tookMs: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Arena {
  readonly side: 'ours' | 'stock';
  readonly store: StoreName;
  readonly seconds: number;
  /** What the producer sends. */
  readonly load: Load;
  readonly folder: string;
  readonly server: StoreServer;
  /** The same sequence on both sides. */
  readonly random: () => number;
  /** Running now; the supervisor replaces one that ends. */
  readonly workers: readonly WorkerProcess[];
  readonly stops: readonly Stop[];
  /** Of what serves. */
  readonly versions: Readonly<Record<string, string>>;
  /** Figures of a scenario's own. */
  readonly facts: Map<string, number>;
  /** Writes the fault down, for the log and for recovery times. */
  readonly note: (event: FaultLine['event'], what: string, worker?: WorkerProcess) => void;
  /** For `seconds`: `act` begins every `everyMs`; one that takes longer is followed at once. */
  every(everyMs: number, act: (round: number) => Promise<void> | void): Promise<void>;
  /** One that claims, by chance. */
  pick(): WorkerProcess | undefined;
  /** One step of a rolling deploy: a new worker first, then `stop` of the oldest. */
  roll(graceMs: number): Promise<void>;
  /** SIGKILL. */
  kill(worker: WorkerProcess): Promise<Ended>;
  /** SIGTERM, and SIGKILL after `graceMs`, as a platform does. */
  stop(worker: WorkerProcess, graceMs: number): Promise<Stop>;
  /** Resolves with what went wrong, undefined when nothing did; a worker that ends meanwhile is no problem. */
  ask(worker: WorkerProcess, message: { readonly declare: number } | 'vitals'): Promise<string | undefined>;
  startWorker(options?: Pick<ProcessOptions, 'environment' | 'imports'>): Promise<WorkerProcess>;
  /** Off: nobody replaces a worker that ends. */
  supervise(isOn: boolean): void;
  /** Starts what is missing to the usual number. */
  refill(): Promise<void>;
  /** Resolves when it produces. It goes on counting where an earlier one was killed. */
  startProducer(): Promise<void>;
  /** SIGKILL; calls under way have no answer. */
  killProducer(): Promise<void>;
  /** No new calls; resolves when those under way have their answers. */
  stopProducer(): Promise<void>;
  /** Repeats, in a process of its own, every call nobody knows the outcome of. */
  settle(): Promise<void>;
}

const respawnMs = 100;

/** Keeps `size` workers running until `close`. */
export function openArena(options: {
  readonly settings: SideSettings;
  readonly store: StoreName;
  readonly server: StoreServer;
  readonly versions: Readonly<Record<string, string>>;
  readonly seconds: number;
  readonly size: number;
}): Arena & { close(): Promise<void> } {
  const { settings, size } = options;
  const { folder } = settings;
  const note = openLog<FaultLine>(logPaths(folder).faults);
  const workers: WorkerProcess[] = [];
  const stops: Stop[] = [];
  let isSupervised = true;
  let isClosed = false;
  const starting = new Set<Promise<unknown>>();

  const startWorker: Arena['startWorker'] = async (more = {}) => {
    const started = startProcess('worker', {
      ...more,
      folder,
      environment: { [settingsVariable]: JSON.stringify(settings), ...more.environment },
    });
    const worker: WorkerProcess = { ...started, isLeaving: false, isReady: false };
    workers.push(worker);
    void worker.exited.then(({ code, signal }) => {
      workers.splice(workers.indexOf(worker), 1);
      note('exit', worker.isLeaving ? 'asked' : 'unasked', { actor: worker.pid, code, signal });
      if (!isSupervised || isClosed) return;
      const again = wait(respawnMs)
        .then(() => (isSupervised && !isClosed && workers.length < size ? startWorker() : undefined))
        .catch(() => undefined);
      starting.add(again);
      void again.finally(() => starting.delete(again));
    });
    await worker.ready;
    worker.isReady = true;
    return worker;
  };
  const stop: Arena['stop'] = async (worker, graceMs) => {
    worker.isLeaving = true;
    const askedAt = Date.now();
    note('term', `grace ${graceMs} ms`, { actor: worker.pid });
    worker.child.kill('SIGTERM');
    const limit = new AbortController();
    const late = wait(graceMs, undefined, { signal: limit.signal }).then(
      () => worker.child.kill('SIGKILL'),
      () => undefined,
    );
    const { code, signal, at } = await worker.exited;
    limit.abort();
    await late;
    const stop = { tookMs: at - askedAt, code, signal };
    stops.push(stop);
    return stop;
  };
  const random = createRandom(settings.seed);
  let producer: Started | undefined;
  const produce = (from: number, ...words: readonly string[]): Started =>
    startProcess('producer', {
      folder,
      arguments: words,
      environment: { [settingsVariable]: JSON.stringify({ ...settings, from }) },
    });
  return {
    side: settings.side,
    store: options.store,
    seconds: options.seconds,
    load: settings.load,
    folder,
    server: options.server,
    versions: options.versions,
    random,
    workers,
    stops,
    facts: new Map(),
    note: (event, what, worker) => note(event, what, worker === undefined ? {} : { actor: worker.pid }),
    async every(everyMs, act) {
      const from = Date.now();
      const until = from + options.seconds * 1_000;
      for (let round = 0, due = from + everyMs; due <= until; round += 1) {
        await wait(Math.max(0, due - Date.now()));
        await act(round);
        due = Math.max(due + everyMs, Date.now());
      }
      await wait(Math.max(0, until - Date.now()));
    },
    pick() {
      const chance = random();
      const ready = workers.filter((worker) => worker.isReady && !worker.isLeaving);
      return ready[Math.floor(chance * ready.length)];
    },
    async roll(graceMs) {
      const oldest = workers.find((worker) => worker.isReady && !worker.isLeaving);
      await startWorker();
      if (oldest !== undefined) await stop(oldest, graceMs);
    },
    kill(worker) {
      worker.isLeaving = true;
      note('kill', 'SIGKILL', { actor: worker.pid });
      worker.child.kill('SIGKILL');
      return worker.exited;
    },
    stop,
    ask(worker, message) {
      const answered = new Promise<string | undefined>((resolve) => {
        worker.child.once('message', (answer) => resolve(Reflect.get(Object(answer), 'problem')));
        // Its channel is gone with it.
        worker.child.send(message, () => undefined);
      });
      return Promise.race([answered, worker.exited.then(() => undefined)]);
    },
    startWorker,
    supervise: (isOn) => {
      isSupervised = isOn;
    },
    async refill() {
      isSupervised = true;
      await Promise.all(Array.from({ length: size - workers.length }, () => startWorker()));
    },
    async startProducer() {
      const keys = readLog<ProducerLine>(logPaths(folder).producer).map((line) => numberOf(line.id) + 1);
      producer = produce(keys.reduce((most, next) => Math.max(most, next), 0));
      await producer.ready;
    },
    async killProducer() {
      producer?.child.kill('SIGKILL');
      await producer?.exited;
    },
    async stopProducer() {
      if (producer?.child.connected === true) producer.child.send('stop');
      await producer?.exited;
    },
    async settle() {
      await produce(0, 'settle').exited;
    },
    async close() {
      isClosed = true;
      producer?.child.kill('SIGKILL');
      await Promise.all(starting);
      await Promise.all(
        workers.slice().map((worker) => {
          worker.isLeaving = true;
          worker.child.kill('SIGKILL');
          return worker.exited;
        }),
      );
    },
  };
}
