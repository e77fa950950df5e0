/**
 * Adds on Redis that come together share one script call: the queue's settings are read once, its events trimmed once,
 * its ids pushed by one command. What is stored is field by field what BullMQ's `addStandardJob` and
 * `addPrioritizedJob` store.
 */
import { type JobJson, optsEncodeMap, type RedisQueueBackend } from 'bullmq';
import { gather } from './gather.ts';
import { isPlain } from './plain-job.ts';
import { type ScriptLine, script } from './redis-script.ts';
import type { NoteTenants } from './tenant-index.ts';

interface Add {
  readonly job: JobJson;
  readonly jobId: string;
}

/** One script call blocks Redis for well under a millisecond; a hundred callers share two, one is written while the other runs. */
const most = 50;
const mostBytes = 512 * 1_024;

// ARGV: key prefix, then id, name, payload, options as JSON, timestamp and priority of each job. An id that is known is answered
// and left as it is; adding it again is therefore harmless, also when a lost answer makes the client send the call twice.
const addJobs = script(`
  local wait, meta, counter, active, events, marker, prioritized, pc = unpack(KEYS)
  local call = redis.call
  local settings = call('HMGET', meta, 'opts.maxLenEvents', 'paused', 'concurrency')
  local maxEvents = settings[1]
  if not maxEvents then
    maxEvents = 10000
    call('HSET', meta, 'opts.maxLenEvents', maxEvents)
  end
  local added, isWork = {}, false
  for at = 2, #ARGV, 6 do
    local id, key, priority = ARGV[at], ARGV[1] .. ARGV[at], tonumber(ARGV[at + 5])
    if call('EXISTS', key) == 1 then
      call('XADD', events, '*', 'event', 'duplicated', 'jobId', id)
    else
      call('HSET', key, 'name', ARGV[at + 1], 'data', ARGV[at + 2], 'opts', ARGV[at + 3], 'timestamp', ARGV[at + 4],
        'delay', 0, 'priority', priority)
      call('XADD', events, '*', 'event', 'added', 'jobId', id, 'name', ARGV[at + 1])
      call('XADD', events, '*', 'event', 'waiting', 'jobId', id)
      isWork = true
      if priority == 0 then
        added[#added + 1] = id
      else
        call('ZADD', prioritized, priority * 0x100000000 + call('INCR', pc) % 0x100000000, id)
      end
    end
  end
  call('XTRIM', events, 'MAXLEN', '~', maxEvents)
  call('INCRBY', counter, (#ARGV - 1) / 6)
  -- Lua unpacks a few thousand at most.
  for from = 1, #added, 1000 do
    call('LPUSH', wait, unpack(added, from, math.min(from + 999, #added)))
  end
  if isWork then
    local full = settings[3] and call('LLEN', active) >= tonumber(settings[3])
    if not settings[2] and not full then call('ZADD', marker, 0, '0') end
  end
  return 'OK'`);

/** Replaces `addJob` and `addJobs` on the instance for plain jobs with an id; all others take BullMQ's way. */
export function batchRedisAdds(
  backend: RedisQueueBackend,
  { line, note, queue }: { readonly line: ScriptLine; readonly note: NoteTenants; readonly queue: string },
): void {
  const addOne = backend.addJob.bind(backend);
  const addAll = backend.addJobs.bind(backend);
  const { '': prefix, wait, meta, id, active, events, marker, prioritized, pc } = backend.keys;
  const keys = [wait, meta, id, active, events, marker, prioritized, pc].map(String);
  const send = async (batch: readonly Add[]): Promise<string[]> => {
    const args: (string | number)[] = [String(prefix)];
    for (const { job, jobId } of batch)
      args.push(jobId, job.name, job.data, encoded(job.opts), job.timestamp, job.opts.priority ?? 0);
    await Promise.all([note(queue, batch), addJobs(line, keys, args)]);
    return batch.map(({ jobId }) => jobId);
  };
  const add = gather<Add, string>({ most, mostWeight: mostBytes, weigh, lanes: 2, send });
  backend.addJob = (job, jobId, parent) =>
    canShare(job, jobId) && parent === undefined ? add({ job, jobId }) : addOne(job, jobId, parent);
  // A bulk of one caller shares with nobody, and is one call however large it is: stored whole or not at all.
  backend.addJobs = (entries) =>
    entries.every(({ job, jobId, parentKeyOpts }) => canShare(job, jobId) && parentKeyOpts === undefined)
      ? send(entries)
      : addAll(entries);
}

const weigh = ({ job }: Add): number => job.data.length;

function canShare(job: JobJson, jobId: string | undefined): boolean {
  return jobId !== undefined && jobId !== '' && job.opts.telemetry === undefined && isPlain(job);
}

const shortNames: Readonly<Record<string, string | undefined>> = optsEncodeMap;

const texts = new WeakMap<JobJson['opts'], string>();

/** Options as BullMQ keeps them: JSON under short names. Options that come again and again are written once. */
function encoded(opts: JobJson['opts']): string {
  const known = texts.get(opts);
  if (known !== undefined) return known;
  const stored: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(opts)) {
    if (value !== undefined) stored[shortNames[name] ?? name] = value;
  }
  const text = JSON.stringify(stored);
  texts.set(opts, text);
  return text;
}
