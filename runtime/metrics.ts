/**
 * Prometheus families of one process. Base units, `_total` for counters, never a job id or a raw tenant as a label.
 * BullMQ's three names stay, so that ready-made dashboards work.
 *
 * Gauges are read when somebody asks (`text()`), from the sources a composition root has named. prom-client's own
 * per-gauge `collect()` would ask the store once per family, and a value set for a sister family could come too late.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What one queue looks like at the moment of the scrape. */
export interface QueueSample {
  readonly queue: string;
  /** By BullMQ's states: waiting, active, delayed, completed, failed … */
  readonly counts: Readonly<Record<string, number>>;
  /** Seconds since the oldest waiting job was accepted; 0 when none waits. */
  readonly oldestAgeS: number;
  /** Highest fairness tag given since the queue was empty; 0 on a queue that is first come, first served. */
  readonly highestTag: number;
  /** Delayed jobs whose time has passed and that nobody promoted. */
  readonly overdue: number;
}

/** Results that wait for a person. */
export interface ReviewSample {
  readonly queue: string;
  readonly open: number;
  readonly oldestAgeS: number;
}

export interface WorkerSample {
  readonly queue: string;
  readonly active: number;
  readonly concurrency: number;
}

/** A circuit breaker: 0 closed, 1 half-open, 2 open. */
export interface CircuitSample {
  readonly name: string;
  readonly state: 0 | 1 | 2;
}

/** Asked once per scrape. One that throws marks the scrape, not the process: its families keep out of the answer. */
export interface GaugeSource {
  readonly queues?: () => Promise<readonly QueueSample[]>;
  readonly reviews?: () => Promise<readonly ReviewSample[]>;
  readonly workers?: () => readonly WorkerSample[];
  readonly circuits?: () => readonly CircuitSample[];
  /** Whether the store answers. */
  readonly backendUp?: () => Promise<boolean>;
}

export interface Metrics {
  /** Content type of `text()`. */
  readonly contentType: string;
  /** Accepted jobs, duplicates not counted. */
  readonly jobsEnqueued: Counter<'queue'>;
  /** `outcome`: done, retry, later, dead, interrupted, cancelled. */
  readonly jobAttempts: Counter<'queue' | 'outcome'>;
  readonly jobDuration: Histogram<'queue'>;
  /** From the moment a job could have run to its claim. */
  readonly jobWait: Histogram<'queue'>;
  /** `cause`: deploy, crash, lease. */
  readonly jobInterruptions: Counter<'queue' | 'cause'>;
  readonly jobsCompleted: Counter<'queue'>;
  readonly jobsFailed: Counter<'queue'>;
  readonly deadLettersExpired: Counter<'queue'>;
  /** How late the next tick of a schedule is; set by the process that keeps the schedules. */
  readonly scheduleLate: Gauge<'schedule'>;
  /** The store's clock minus this machine's, in seconds; workers compare every ten. */
  readonly clockOffset: Gauge;
  /** The store no longer had what a worker had told it a moment before. */
  readonly storeLosses: Counter;
  /** Ticks that did not run. `reason`: duplicate, late, overlap, paused, removed. */
  readonly scheduleSkipped: Counter<'schedule' | 'reason'>;
  readonly httpDuration: Histogram<'route' | 'status'>;
  /** Refused for a rate, by what was limited: `address` (before the login), `key`, `tenant`, `limit-key`, `queue`. */
  readonly rateLimited: Counter<'tenant_class'>;
  /** Adds refused because too much is there: `reason` memory, depth, age. */
  readonly addsRefused: Counter<'queue' | 'reason'>;
  /** Adds a source of gauges. */
  watch(source: GaugeSource): void;
  /** The exposition text, gauges fresh. */
  text(): Promise<string>;
  /** The same as JSON, for a process that collects it from several. */
  families(): Promise<object[]>;
}

/** Content type of the exposition text. */
export const prometheusText = Registry.PROMETHEUS_CONTENT_TYPE;

const jobSeconds = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800];
const httpSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];

/** A registry of its own, so that two composition roots in one process (tests) do not meet. `version` becomes `jobfleet_build_info`. */
export function createMetrics(version = '0.0.0'): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({ name: 'jobfleet_build_info', help: 'Release of this process.', labelNames: ['version'], registers })
    .labels(version)
    .set(1);
  const refresh = createGauges(registers);
  const sources: GaugeSource[] = [];
  return {
    contentType: registry.contentType,
    ...createCounters(registers),
    watch: (source) => void sources.push(source),
    text: async () => {
      await refresh(sources);
      return registry.metrics();
    },
    families: async () => {
      await refresh(sources);
      return registry.getMetricsAsJSON();
    },
  };
}

/** What is counted and measured as it happens. */
function createCounters(registers: Registry[]) {
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: L[], buckets: number[]) =>
    new Histogram({ name, help, labelNames, buckets, registers });
  return {
    jobsEnqueued: counter('jobfleet_jobs_enqueued_total', 'Jobs accepted, without duplicates.', ['queue']),
    jobAttempts: counter('jobfleet_job_attempts_total', 'Attempts ended, by outcome.', ['queue', 'outcome']),
    jobDuration: histogram('jobfleet_job_duration_seconds', 'Run time of an attempt.', ['queue'], jobSeconds),
    jobWait: histogram('jobfleet_job_wait_seconds', 'From due to claimed.', ['queue'], jobSeconds),
    jobInterruptions: counter('jobfleet_job_interruptions_total', 'Runs ended for no fault of the job.', [
      'queue',
      'cause',
    ]),
    jobsCompleted: counter('bullmq_job_completed_total', 'Jobs completed by this process.', ['queue']),
    jobsFailed: counter('bullmq_job_failed_total', 'Jobs that became dead letters in this process.', ['queue']),
    deadLettersExpired: counter('jobfleet_dead_letters_expired_total', 'Dead letters removed by retention.', ['queue']),
    clockOffset: new Gauge({
      name: 'jobfleet_clock_offset_seconds',
      help: "The store's clock minus this machine's; beyond 2 s a worker claims nothing.",
      registers,
    }),
    scheduleLate: new Gauge({
      name: 'jobfleet_schedule_late_seconds',
      help: 'How late the next tick of a schedule is.',
      labelNames: ['schedule'],
      registers,
    }),
    storeLosses: counter(
      'jobfleet_store_losses_total',
      'How often the store had lost what this worker had told it: emptied, evicted, or failed over.',
      [],
    ),
    scheduleSkipped: counter('jobfleet_schedule_skipped_total', 'Ticks that did not run.', ['schedule', 'reason']),
    httpDuration: histogram(
      'jobfleet_http_request_duration_seconds',
      'HTTP requests by route pattern.',
      ['route', 'status'],
      httpSeconds,
    ),
    rateLimited: counter('jobfleet_rate_limited_total', 'Requests and adds refused for a rate.', ['tenant_class']),
    addsRefused: counter('jobfleet_adds_refused_total', 'Adds refused because too much waits or is stored.', [
      'queue',
      'reason',
    ]),
  };
}

/** The gauge families, and the function that fills them all from the sources. */
function createGauges(registers: Registry[]): (sources: readonly GaugeSource[]) => Promise<void> {
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers });
  const count = gauge('bullmq_job_count', 'Jobs by queue and state.', ['queue', 'state']);
  const oldest = gauge('jobfleet_queue_oldest_job_age_seconds', 'Age of the oldest waiting job.', ['queue']);
  const tag = gauge(
    'jobfleet_queue_highest_tag',
    'Highest fairness tag since the queue was empty; at 2,000,000 fairness rests until it is empty again.',
    ['queue'],
  );
  const overdue = gauge('jobfleet_queue_overdue_jobs', 'Delayed jobs due and not promoted.', ['queue']);
  const deadLetters = gauge('jobfleet_dead_letter_jobs', 'Jobs waiting for a redrive or discard.', ['queue']);
  const up = gauge('jobfleet_worker_up', '1 while this process serves the queue.', ['queue']);
  const active = gauge('jobfleet_worker_active_jobs', 'Attempts running in this process.', ['queue']);
  const concurrency = gauge('jobfleet_worker_concurrency', 'Attempts this process runs at most.', ['queue']);
  const circuit = gauge(
    'jobfleet_circuit_state',
    'Circuit breaker of a dependency in this process: 0 closed, 1 half-open, 2 open.',
    ['name'],
  );
  const reviews = gauge('jobfleet_reviews_open', 'Results that wait for a person.', ['queue']);
  const reviewAge = gauge('jobfleet_review_oldest_age_seconds', 'Age of the oldest open review.', ['queue']);
  const backendUp = gauge('jobfleet_backend_up', '1 when the store answered this scrape.', []);

  const fillQueues = (samples: readonly QueueSample[]): void => {
    for (const sample of samples) {
      for (const [state, value] of Object.entries(sample.counts)) count.labels(sample.queue, state).set(value);
      deadLetters.labels(sample.queue).set(sample.counts['failed'] ?? 0);
      oldest.labels(sample.queue).set(sample.oldestAgeS);
      if (sample.highestTag > 0) tag.labels(sample.queue).set(sample.highestTag);
      overdue.labels(sample.queue).set(sample.overdue);
    }
  };
  const fillWorkers = (samples: readonly WorkerSample[]): void => {
    for (const sample of samples) {
      up.labels(sample.queue).set(1);
      active.labels(sample.queue).set(sample.active);
      concurrency.labels(sample.queue).set(sample.concurrency);
    }
  };
  return async (sources) => {
    const families = [count, oldest, tag, overdue, deadLetters, up, active, concurrency, circuit, reviews, reviewAge];
    for (const family of families) family.reset();
    for (const source of sources) {
      fillWorkers(source.workers?.() ?? []);
      for (const { name, state } of source.circuits?.() ?? []) circuit.labels(name).set(state);
      // A store that is down is what backend_up says; the scrape itself must still answer.
      if (source.backendUp !== undefined) backendUp.set((await source.backendUp().catch(() => false)) ? 1 : 0);
      if (source.queues !== undefined) fillQueues(await source.queues().catch(() => []));
      for (const { queue, open, oldestAgeS } of (await source.reviews?.().catch(() => [])) ?? []) {
        reviews.labels(queue).set(open);
        reviewAge.labels(queue).set(oldestAgeS);
      }
    }
  };
}
