/** bee-queue 2 in the settings that its documentation gives for speed: nothing kept, no events. */
import type { Payload } from './payload.ts';
import type { PeerOptions } from './peers.ts';
import { handle, retrying, type Side } from './side.ts';

interface BeeJob {
  readonly data: Payload;
  retries(count: number): BeeJob;
  backoff(strategy: string, delayMs: number): BeeJob;
  save(): Promise<unknown>;
}

interface Bee {
  ready(): Promise<unknown>;
  createJob(data: Payload): BeeJob;
  saveAll(jobs: readonly BeeJob[]): Promise<Map<BeeJob, Error>>;
  process(concurrency: number, handler: (job: BeeJob) => Promise<unknown>): void;
  checkHealth(): Promise<Readonly<Record<string, number>>>;
  destroy(): Promise<unknown>;
  close(timeoutMs: number): Promise<unknown>;
}

export async function openBee({ server, module, atOnce }: PeerOptions): Promise<Side> {
  const Queue = module['default'] as new (name: string, settings: object) => Bee;
  const address = new URL(server.url);
  const settings = {
    redis: { host: address.hostname, port: Number(address.port) },
    storeJobs: false,
    removeOnSuccess: true,
    sendEvents: false,
    getEvents: false,
  };
  const open = async (isWorker: boolean): Promise<Bee> => {
    const queue = new Queue('raw', { ...settings, isWorker });
    await queue.ready();
    return queue;
  };
  const queue = await open(false);
  const jobOf = (payload: Payload): BeeJob =>
    queue
      .createJob(payload)
      .retries(retrying.attempts - 1)
      .backoff('exponential', retrying.delayMs);
  return {
    name: 'bee-queue',
    add: async (payload) => void (await jobOf(payload).save()),
    addMany: async (payloads) => {
      const [first] = (await queue.saveAll(payloads.map(jobOf))).values();
      if (first !== undefined) throw first;
    },
    work: async () => {
      const worker = await open(true);
      worker.process(atOnce, ({ data }) => handle(data));
      return { stop: async () => void (await worker.close(10_000)) };
    },
    counts: async () => {
      const { waiting = 0, active = 0, failed = 0, delayed = 0 } = await queue.checkHealth();
      return { waiting, active, failed, delayed };
    },
    clear: async () => void (await queue.destroy()),
    close: async () => void (await queue.close(1_000)),
  };
}
