/**
 * Adds on Redis that come together share one script call: the queue's settings are read once, its events trimmed once,
 * its ids pushed by one command. What is stored is field by field what BullMQ's `addStandardJob` and
 * `addPrioritizedJob` store.
 */
import { type JobJson, optsEncodeMap, type RedisQueueBackend } from 'bullmq';
import type { JobInTurn } from './fairness.ts';
import { tagFunctions, tagKeys } from './fairness-redis.ts';
import { gather } from './gather.ts';
import { isPlain } from './plain-job.ts';
import { type ScriptLine, script } from './redis-script.ts';
import type { NoteTenants } from './tenant-index.ts';

interface Add {
  readonly job: JobInTurn;
  readonly jobId: string;
}

/** One script call blocks Redis for well under a millisecond; a hundred callers share two, one is written while the other runs. */
const most = 50;
const mostBytes = 512 * 1_024;

// ARGV: key prefix, then of each job: id, name, payload, options as JSON, timestamp, its priority or the cost of its turn,
// and the flow of its turn ('' = it has none). An id that is known is answered
// and left as it is; adding it again is therefore harmless, also when a lost answer makes the client send the call twice.
const addJobs = script(`
  ${tagFunctions}
  local wait, meta, counter, active, events, marker, pc, flows, state, prioritized, delayed = unpack(KEYS)
  local call = redis.call
  local settings = call('HMGET', meta, 'opts.maxLenEvents', 'paused', 'concurrency')
  local maxEvents = settings[1]
  if not maxEvents then
    maxEvents = 10000
    call('HSET', meta, 'opts.maxLenEvents', maxEvents)
  end
  local added, isWork, tags = {}, false, nil
  for at = 2, #ARGV, 7 do
    local id, key, opts, priority = ARGV[at], ARGV[1] .. ARGV[at], ARGV[at + 3], tonumber(ARGV[at + 5])
    if call('EXISTS', key) == 1 then
      call('XADD', events, '*', 'event', 'duplicated', 'jobId', id)
    else
      if ARGV[at + 6] ~= '' then
        tags = tags or openTags(flows, state, prioritized, delayed)
        priority = nextTag(tags, ARGV[at + 6], priority)
        opts = string.sub(opts, 1, -2) .. (#opts > 2 and ',' or '') .. '"priority":' .. priority .. '}'
      end
      call('HSET', key, 'name', ARGV[at + 1], 'data', ARGV[at + 2], 'opts', opts, 'timestamp', ARGV[at + 4],
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
  if tags then closeTags(tags) end
  call('INCRBY', counter, (#ARGV - 1) / 7)
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
  const { '': prefix, wait, meta, id, active, events, marker, pc } = backend.keys;
  const tags = tagKeys((part) => backend.toKey(part));
  const keys = [...[wait, meta, id, active, events, marker, pc].map(String), ...tags];
  const send = async (batch: readonly Add[]): Promise<string[]> => {
    const args: (string | number)[] = [String(prefix)];
    for (const { job, jobId } of batch) {
      args.push(jobId, job.name, job.data, encoded(job.opts), job.timestamp);
      args.push(job.turn?.cost ?? job.opts.priority ?? 0, job.turn?.flow ?? '');
    }
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
