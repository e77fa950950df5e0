/**
 * One queue as Bull Board sees it. What the board does to jobs goes the way our own entrances go: adds through the
 * client, retries and removals of dead letters through `backends/dead-letters.ts`, removals of queued jobs as a cancel.
 */
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { JobCleanStatus, JobStatus, QueueJobOptions, QueueWorker } from '@bull-board/api/typings/app';
import type { Queue, Job as StoredJob } from 'bullmq';
import type { DeadLetters } from '../backends/dead-letters.ts';
import { evidenceLines } from '../backends/evidence.ts';
import type { Job } from '../jobs/define.ts';
import type { Client } from '../producers/client.ts';
import { mask, maskText } from '../runtime/mask.ts';
import { editorSchema } from './editor-schema.ts';
import type { Fleet } from './fleet.ts';

interface BoardQueueParts {
  readonly client: Pick<Client, 'enqueueNamed' | 'cancel'>;
  readonly deadLetters: Pick<DeadLetters, 'redrive' | 'discard' | 'discardMany' | 'inspect'>;
  readonly fleet: Fleet;
}

/** A class because the board's adapters are classes: `createBullBoard` asks them by method. */
export class BoardQueue extends BullMQAdapter {
  readonly #job: Job;
  readonly #parts: BoardQueueParts;
  readonly #stored: Queue;

  constructor(job: Job, stored: Queue, parts: BoardQueueParts) {
    const options = {
      allowRetries: true,
      // A job that completed is not run again: its once-records would replay it.
      allowCompletedRetries: false,
      displayName: job.name,
      jobDataSchema: editorSchema(job.payload),
    };
    super(stored, options);
    this.#job = job;
    this.#parts = parts;
    this.#stored = stored;
    this.setFormatter('data', mask);
    this.setFormatter('returnValue', mask);
    this.setFormatter('progress', mask);
    this.setFormatter('name', ({ name }: { readonly name?: unknown }) =>
      maskText(typeof name === 'string' ? name : ''),
    );
  }

  override getDescription(): string {
    const { fleet } = this.#parts;
    const reason = fleet.reason(this.#job.name);
    const missing = reason === undefined ? undefined : `Not available: ${reason}`;
    return [fleet.pause(this.#job.name), this.#job.summary, missing].filter((part) => part !== undefined).join(' ');
  }

  /** PostgreSQL knows no connection by its queue; there the workers' own records say that somebody is there. */
  override async getWorkers(): Promise<QueueWorker[] | null> {
    const connected = await super.getWorkers();
    if (connected !== null && connected.length > 0) return connected;
    return this.#parts.fleet.runs(this.#job.name) ? null : connected;
  }

  /** Only `delay` and `attempts` count, as at our other entrances; the rest of a job's options is its type's policy. */
  override async addJob(_name: string, data: unknown, options: QueueJobOptions | undefined): Promise<StoredJob> {
    const { delay, attempts } = options ?? {};
    const { id } = await this.#parts.client.enqueueNamed(this.#job.name, data, {
      route: 'board',
      ...(delay === undefined ? {} : { delayMs: delay }),
      ...(attempts === undefined ? {} : { attempts }),
    });
    const added = await this.#stored.getJob(id);
    if (added === undefined) throw new Error(`${id} was stored and has already left the queue; nothing is lost`);
    return added;
  }

  /** As `jobfleet schedules run`: a job with an id of ours. */
  override async runJobSchedulerNow(id: string): Promise<StoredJob | 'not-found'> {
    const scheduler = await this.#stored.getJobScheduler(id);
    if (scheduler === undefined) return 'not-found';
    return this.addJob(this.#job.name, scheduler.template?.data ?? {}, undefined);
  }

  override async getJob(id: string): Promise<StoredJob | undefined> {
    const job = await super.getJob(id);
    return job === undefined ? undefined : this.#ours(job);
  }

  override async getJobs(statuses: JobStatus[], start?: number, end?: number): Promise<StoredJob[]> {
    return (await super.getJobs(statuses, start, end)).map((job) => this.#ours(job));
  }

  /** Failed jobs are dead letters; those younger than the grace stay, as everywhere on the board. */
  override async clean(status: JobCleanStatus, graceMs: number): Promise<void> {
    if (status !== 'failed') return super.clean(status, graceMs);
    const filter = { queue: this.#job.name, to: Date.now() - graceMs };
    let cursor: string | undefined;
    do ({ cursor } = await this.#parts.deadLetters.discardMany(filter, { cursor }));
    while (cursor !== undefined);
  }

  /** The board shows what is logged of a job; what is known of a dead letter beside its failure belongs there. */
  override async getJobLogs(id: string): Promise<string[]> {
    const found = await this.#parts.deadLetters.inspect(this.#job.name, id);
    if (found === undefined) return super.getJobLogs(id);
    return [...found.logs, ...evidenceLines(found.evidence).map((line) => `[dead letter] ${maskText(line)}`)];
  }

  /** The same job, with retry and remove going our way. */
  #ours(job: StoredJob): StoredJob {
    const { id = '' } = job;
    const remove = job.remove.bind(job);
    return Object.assign(job, {
      retry: async () => {
        // A refusal leaves the dead letter where it is; for a single one the board has said why before it came here.
        await this.#parts.deadLetters.redrive(this.#job.name, id);
      },
      remove: async () => {
        if (await this.#parts.deadLetters.discard(this.#job.name, id)) return;
        if ((await job.getState()) === 'completed' || (await this.#parts.client.cancel(id)) === undefined)
          await remove();
      },
    });
  }
}
