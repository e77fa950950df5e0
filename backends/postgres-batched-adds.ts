/**
 * Adds on PostgreSQL that come together share one statement and one commit; a bulk is one statement as well, stored whole
 * or not at all. What is stored and announced is what BullMQ's `add_jobs_bulk` stores, without its temporary tables.
 */
import type { JobJson, PostgresQueueBackend } from 'bullmq';
import type { Pool } from 'pg';
import { gather } from './gather.ts';
import { isPlain } from './plain-job.ts';
import { isLost } from './postgres-pool.ts';
import { asError } from './unreachable.ts';

interface Add {
  readonly job: JobJson;
  readonly jobId: string;
}

// The shared lock is the one every producer of BullMQ takes; an id that is known stays as it is.
const statement = `
  WITH locked AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared(hashtext('bullmq:finalization'), hashtext($1)) AS is_locked
  ), given AS (
    SELECT j.* FROM locked, ROWS FROM (
      jsonb_to_recordset($2::jsonb) AS (id text, name text, data jsonb, opts jsonb, at bigint, attempts integer, priority integer)
    ) WITH ORDINALITY AS j (id, name, data, opts, at, attempts, priority, ord) ORDER BY j.ord
  ), stored AS (
    INSERT INTO job (queue, id, seq, name, state, data, opts, priority, delay_ms, max_attempts, added_at_ms, pending_deps)
    SELECT $1, id, nextval('job_seq'), name, 'waiting'::job_state, data, opts, priority, 0, attempts, at, 0 FROM given
    ON CONFLICT (queue, id) DO NOTHING
    RETURNING id, name, seq
  ), announced AS (
    INSERT INTO event (queue, event, data, created_at_ms)
    SELECT $1, e.event, e.data, (extract(epoch FROM clock_timestamp()) * 1000)::bigint
      FROM stored, LATERAL (VALUES
        (1, 'added', jsonb_build_object('jobId', stored.id, 'name', stored.name)),
        (2, 'waiting', jsonb_build_object('jobId', stored.id))
      ) AS e (step, event, data)
     ORDER BY stored.seq, e.step
  )
  SELECT pg_notify('bullmq_jobs', $1) WHERE EXISTS (SELECT FROM stored)`;

/** Replaces `addJob` and `addJobs` on the instance for plain jobs with an id; all others take BullMQ's way. */
export function batchPostgresAdds(backend: PostgresQueueBackend, pool: Pick<Pool, 'query'>, queue: string): void {
  const addOne = backend.addJob.bind(backend);
  const addAll = backend.addJobs.bind(backend);
  const together = async (batch: readonly Add[]): Promise<string[]> => {
    // Named: planned once per connection, which for a lone add is most of what it costs.
    await pool.query({ name: 'jobfleet-add', text: statement, values: [queue, `[${batch.map(textOf).join(',')}]`] });
    return batch.map(({ jobId }) => jobId);
  };
  const add = gather<Add, string>({
    most: 100,
    mostWeight: 4 * 1_024 * 1_024,
    weigh: ({ job }) => job.data.length,
    lanes: 2,
    async send(batch) {
      try {
        return await together(batch);
      } catch (error) {
        if (isLost(error)) throw error;
        // One job's error is its own: alone each gets the answer that is BullMQ's.
        return Promise.all(batch.map(({ job, jobId }) => addOne(job, jobId).catch(asError)));
      }
    },
  });
  backend.addJob = (job, jobId, parent) =>
    canShare(job, jobId) && parent === undefined ? add({ job, jobId }) : addOne(job, jobId, parent);
  backend.addJobs = (entries) =>
    entries.every(({ job, jobId, parentKeyOpts }) => canShare(job, jobId) && parentKeyOpts === undefined)
      ? together(entries)
      : addAll(entries);
}

function canShare(job: JobJson, jobId: string | undefined): boolean {
  return jobId !== undefined && jobId !== '' && isPlain(job);
}

/** The payload is JSON already and stands as it is: no text in a text. */
function textOf({ job, jobId }: Add): string {
  const { attempts = 1, priority = 0 } = job.opts;
  return `{"id":${JSON.stringify(jobId)},"name":${JSON.stringify(job.name)},"data":${job.data},"opts":${optionsText(job.opts)},"at":${job.timestamp},"attempts":${attempts},"priority":${priority}}`;
}

const texts = new WeakMap<JobJson['opts'], string>();

/** Options that come again and again are written once. */
function optionsText(opts: JobJson['opts']): string {
  let text = texts.get(opts);
  if (text === undefined) {
    text = JSON.stringify(opts);
    texts.set(opts, text);
  }
  return text;
}
