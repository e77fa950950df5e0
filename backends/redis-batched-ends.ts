/**
 * Completions on Redis that come together share one script call, and each brings its slot's next job back: the queue's
 * settings, retention, charts and delayed jobs are seen to once for all of them. Everything that is not an ordinary
 * completion (failures, flows, deduplication, queues with limits) takes BullMQ's own way.
 */
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { type JobsOptions, type RedisQueueBackend, raw2NextJobData } from 'bullmq';
import { gather } from './gather.ts';
import { type ScriptLine, script } from './redis-script.ts';
import { asError } from './unreachable.ts';

interface End {
  readonly id: string;
  readonly token: string;
  readonly value: string;
  readonly keep: { readonly age: number | ''; readonly count: number };
  readonly fetchNext: boolean;
  readonly stock: () => Promise<Ended>;
}

type Ended = Awaited<ReturnType<RedisQueueBackend['moveToCompleted']>>;

export interface EndSettings {
  readonly concurrency: number;
  readonly lockDuration: number;
  /** Points of the chart; undefined = no chart. */
  readonly maxDataPoints: number | undefined;
  readonly workerName: string | undefined;
}

/** Verdict of the script: leave this entry, or all of them, to BullMQ. */
const stockVerdict = -100;
/** How long a queue with limits is left to BullMQ before it is asked again. */
const stockMs = 5_000;

/** BullMQ's own Lua functions: theirs are the layout of keys and the rules of retention. The body that follows them is ours. */
const stockFunctions = (() => {
  const scripts: { moveToFinished?: { content?: string } } = createRequire(import.meta.url)(
    'bullmq/dist/cjs/scripts/moveToFinished-14.js',
  );
  const content = scripts.moveToFinished?.content ?? '';
  const from = content.indexOf('local rcall = redis.call');
  const to = content.indexOf('local jobIdKey = KEYS[12]');
  if (from < 0 || to < 0) throw new Error('this BullMQ has another moveToFinished script than the one known here');
  return content.slice(from, to);
})();

// KEYS: as named below. ARGV: key prefix, time, lease in ms, points of the chart ('' = none), worker name ('' = none),
// number of this call, then per entry: id, token, value, '1' to fetch, age and count to keep ('' and -1 = for ever).
// A call that the client sends twice, because its answer was lost, gets the same answer: the receipt holds it for a minute.
const endJobs = script(`
  ${stockFunctions}
  local wait, active, prioritized, events, stalled, limiter, delayed, meta, pc, completed, metrics, marker, receipt = unpack(KEYS)
  local prefix, now, width = ARGV[1], ARGV[2], 6
  rcall('PERSIST', wait) -- a change that changes nothing: a full Redis lets the script go on (when-full.ts)
  local settings = rcall('HMGET', meta, 'paused', 'concurrency', 'max')
  if settings[2] or settings[3] then return 'stock' end
  local known = rcall('HMGET', receipt, 'call', 'answer')
  if known[1] == ARGV[6] then
    local answer = cmsgpack.unpack(known[2])
    for n, given in ipairs(answer) do
      if type(given) == 'string' then
        local mine = rcall('GET', prefix .. given .. ':lock') == ARGV[8 + (n - 1) * width]
        answer[n] = mine and {rcall('HGETALL', prefix .. given), given, 0, 0} or 0
      end
    end
    return answer
  end

  local answer, noted, kept, ended, fetches = {}, {}, {}, 0, 0
  local sweeps = {}
  trimEvents(meta, events)
  for at = 7, #ARGV, width do
    local id, token, value = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local key = prefix .. id
    local job = rcall('HMGET', key, 'name', 'parentKey', 'deid', 'atm')
    local verdict
    if not job[1] then
      verdict = -1
    elseif job[2] or job[3] or rcall('EXISTS', key .. ':dependencies', key .. ':unsuccessful') > 0 then
      verdict = ${stockVerdict}
    else
      verdict = removeLock(key, stalled, token, id)
      if verdict == 0 and rcall('LREM', active, -1, id) < 1 then verdict = -3 end
    end
    if verdict == 0 then
      ended = ended + 1
      if ARGV[at + 5] == '0' then
        removeJobKeys(key)
      else
        rcall('HSET', key, 'returnvalue', value, 'finishedOn', now, 'atm', (job[4] or 0) + 1)
        kept[#kept + 1] = now
        kept[#kept + 1] = id
        sweeps[ARGV[at + 4] .. ' ' .. ARGV[at + 5]] = at
      end
      rcall('XADD', events, '*', 'event', 'completed', 'jobId', id, 'returnvalue', value, 'prev', 'active')
      if ARGV[at + 3] == '1' then fetches = fetches + 1 end
    end
    answer[#answer + 1] = verdict
  end
  if #kept > 0 then rcall('ZADD', completed, unpack(kept)) end
  for _, at in pairs(sweeps) do
    local age, count = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
    if age then removeJobsByMaxAge(now, age, completed, prefix, 1000) end
    if count > 0 then removeJobsByMaxCount(count, completed, prefix) end
  end
  if ended > 0 and ARGV[4] ~= '' then
    collectMetrics(metrics, metrics .. ':data', ARGV[4], now)
    if ended > 1 then rcall('HINCRBY', metrics, 'count', ended - 1) end
  end

  local fetched = 0
  if fetches > 0 then
    local paused = settings[1] and true or false
    promoteDelayedJobs(delayed, marker, wait, prioritized, events, prefix, now, pc, paused)
    local nothing
    for n, verdict in ipairs(answer) do
      local at = 7 + (n - 1) * width
      if verdict == 0 and ARGV[at + 3] == '1' then
        local id
        if not nothing and not paused then
          id = rcall('RPOPLPUSH', wait, active) or moveJobFromPrioritizedToActive(prioritized, active, pc)
        end
        if id then
          fetched = fetched + 1
          local lease = {token = ARGV[at + 1], lockDuration = ARGV[3], name = ARGV[5] ~= '' and ARGV[5] or nil}
          answer[n] = prepareJobForProcessing(prefix, limiter, events, id, now, nil, nil, marker, lease)
          noted[n] = id
        else
          if not nothing then
            local due = not paused and getNextDelayedTimestamp(delayed)
            nothing = (paused or due) and {0, 0, 0, due or 0} or 0
          end
          answer[n] = nothing
        end
      end
    end
  end
  if fetched < ended and rcall('LLEN', wait) == 0 and rcall('LLEN', active) == 0 and rcall('ZCARD', prioritized) == 0 then
    rcall('XADD', events, '*', 'event', 'drained')
  end
  for n, verdict in ipairs(answer) do noted[n] = noted[n] or (type(verdict) == 'number' and verdict or 0) end
  rcall('HSET', receipt, 'call', ARGV[6], 'answer', cmsgpack.pack(noted))
  rcall('PEXPIRE', receipt, 60000)
  return answer`);

/** Replaces `moveToCompleted` on the instance of a worker. */
export function batchRedisEnds(backend: RedisQueueBackend, line: ScriptLine, settings: EndSettings): void {
  const stock = backend.moveToCompleted.bind(backend);
  const keysOf = backend.keys;
  const prefix = String(keysOf['']);
  const names = ['wait', 'active', 'prioritized', 'events', 'stalled', 'limiter', 'delayed', 'meta', 'pc', 'completed'];
  const keys = [
    ...names.map((name) => String(keysOf[name])),
    backend.toKey('metrics:completed'),
    String(keysOf['marker']),
  ];
  const caller = randomUUID();
  const { lockDuration, maxDataPoints = '', workerName = '' } = settings;
  let calls = 0;
  let stockUntil = 0;

  const send = async (batch: readonly End[], lane: number): Promise<(Ended | Error)[]> => {
    const finishedOn = Date.now();
    calls += 1;
    const args: (string | number)[] = [prefix, finishedOn, lockDuration, maxDataPoints, workerName, calls];
    for (const { id, token, value, fetchNext, keep } of batch)
      args.push(id, token, value, fetchNext ? '1' : '0', keep.age, keep.count);
    const answer = await endJobs(line, [...keys, `jobfleet:receipt:${prefix}${caller}:${lane}`], args);
    if (!Array.isArray(answer)) {
      stockUntil = finishedOn + stockMs;
      return Promise.all(batch.map(byBullMQ));
    }
    const ended: (Ended | Error)[] = [];
    for (const [index, one] of batch.entries()) {
      const verdict: unknown = answer[index];
      ended.push(verdict === stockVerdict ? await byBullMQ(one) : read(one, verdict, finishedOn));
    }
    return ended;
  };
  const end = gather<End, Ended>({
    most: Math.min(Math.max(Math.floor(settings.concurrency / 2), 1), 25),
    mostWeight: 256 * 1_024,
    weigh: ({ value }) => value.length,
    lanes: 4,
    send,
  });
  backend.moveToCompleted = (job, returnValue, removeOnComplete, token, fetchNext) => {
    const byStock = () => stock(job, returnValue, removeOnComplete, token, fetchNext);
    const keep = keepOf(removeOnComplete);
    const { id } = job;
    if (keep === undefined || id === undefined || token === '0' || Date.now() < stockUntil) return byStock();
    const value = json(returnValue);
    return end({ id, token, value, keep, fetchNext, stock: byStock });
  };

  /** What the script says of one entry. */
  function read(one: End, verdict: unknown, finishedOn: number): Ended | Error {
    if (Array.isArray(verdict)) return { result: raw2NextJobData(verdict), finishedOn };
    if (verdict === 0) return { result: [], finishedOn };
    return backend.finishedErrors({ code: Number(verdict), jobId: one.id, command: 'moveToFinished', state: 'active' });
  }
}

const byBullMQ = (one: End): Promise<Ended | Error> => one.stock().catch(asError);

/** `undefined` for a rule that the script does not know. */
function keepOf(rule: JobsOptions['removeOnComplete']): End['keep'] | undefined {
  if (rule === undefined || rule === false) return { age: '', count: -1 };
  if (rule === true) return { age: '', count: 0 };
  if (typeof rule === 'number') return { age: '', count: rule };
  if ('limit' in rule) return undefined;
  return { age: 'age' in rule ? rule.age : '', count: rule.count ?? -1 };
}

/** BullMQ stores `null` for a handler that returns nothing. */
function json(value: unknown): string {
  const text: string | undefined = JSON.stringify(value);
  return text ?? 'null';
}
