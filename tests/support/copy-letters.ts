/** Dead letters by the hundred thousand: copies of one that was made the normal way, written where they are stored. */
import { Pool } from 'pg';
import type { Backend } from '../../backends/backend.ts';
import { dial, queuePrefix } from '../../backends/redis-client.ts';
import { hangUp } from '../../backends/redis-lines.ts';
import { script } from '../../backends/redis-script.ts';
import { parseRedisUrl } from '../../backends/redis-url.ts';
import { tenantKey } from '../../backends/tenant-index.ts';

export interface Copies {
  readonly queue: string;
  /** The dead letter that is copied. */
  readonly id: string;
  readonly tenant: string;
  readonly count: number;
  /** The stored reason of the nth copy has `n` between the two. */
  readonly reason: readonly [before: string, after: string];
}

/** Of the nth copy, from 1. */
export const copyId = (id: string, n: number): string => `${id}-${n}`;

/** All that is stored of the letter, under other ids, accepted and failed a millisecond earlier each. */
export function copyLetters({ leaseConnection: { kind, url } }: Backend, copies: Copies): Promise<void> {
  return kind === 'redis' ? copyInRedis(url, copies) : copyInPostgres(url, copies);
}

async function copyInPostgres(url: string, { queue, id, count, reason: [before, after] }: Copies): Promise<void> {
  const pool = new Pool({ connectionString: url, max: 1 });
  try {
    await pool.query(
      `INSERT INTO bullmq.job
       SELECT (jsonb_populate_record(j, jsonb_build_object(
                'id', j.id || '-' || n, 'seq', nextval('bullmq.job_seq'), 'failed_reason', $3::text || n || $4,
                'added_at_ms', j.added_at_ms - n, 'finished_at_ms', j.finished_at_ms - n))).*
         FROM bullmq.job j, generate_series(1, $5::int) n
        WHERE j.queue = $1 AND j.id = $2`,
      [queue, id, before, after, count],
    );
  } finally {
    await pool.end();
  }
}

/** A script stops the server for as long as it runs: Sentinels must not take it for dead. */
const perScript = 500;
// KEYS: the job, the failed jobs. ARGV: first and last copy, the two parts of the reason, the id. Answers when it was added.
const copyScript = script(`
  local fields = redis.call('HGETALL', KEYS[1])
  local job = {}
  for at = 1, #fields, 2 do job[fields[at]] = at + 1 end
  local added, failed = tonumber(fields[job.timestamp]), tonumber(fields[job.finishedOn])
  for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
    fields[job.timestamp] = string.format('%.0f', added - n)
    fields[job.finishedOn] = string.format('%.0f', failed - n)
    fields[job.failedReason] = ARGV[3] .. n .. ARGV[4]
    redis.call('HSET', KEYS[1] .. '-' .. n, unpack(fields))
    redis.call('ZADD', KEYS[2], failed - n, ARGV[5] .. '-' .. n)
  end
  return string.format('%.0f', added)`);

async function copyInRedis(url: string, { queue, id, tenant, count, reason }: Copies): Promise<void> {
  const address = parseRedisUrl(url);
  const { client } = await dial(address, () => undefined);
  const prefix = `${queuePrefix(address.form, queue)}:${queue}:`;
  for (let first = 1; first <= count; first += perScript) {
    const last = Math.min(count, first + perScript - 1);
    const args = [first, last, ...reason, id];
    const added = Number(await copyScript(client, [prefix + id, `${prefix}failed`], args));
    const entries = Array.from({ length: last - first + 1 }, (_, at) => [added - first - at, copyId(id, first + at)]);
    await client.zadd(tenantKey(queue, tenant), ...entries.flat());
  }
  await hangUp(client);
}
