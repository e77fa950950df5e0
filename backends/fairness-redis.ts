/** Tags in Redis: one sorted set of flows and one hash per queue; both are gone while the queue is empty. */
import { highestTag, type TagStore } from './fairness.ts';
import { type ScriptLine, script } from './redis-script.ts';

// KEYS: flows, state, and the queue's prioritized and delayed jobs, which are only looked at. ARGV: the highest tag, then
// flow and cost of each turn.
const nextTags = script(`
  local flows, state, prioritized, delayed = unpack(KEYS)
  if redis.call('EXISTS', prioritized, delayed) == 0 then redis.call('DEL', flows, state) end
  local known = redis.call('HMGET', state, 'passed', 'top')
  local passed, top = tonumber(known[1] or 0), tonumber(known[2] or 0)
  local highest, last, tags = tonumber(ARGV[1]), {}, {}
  for at = 2, #ARGV, 2 do
    local flow = ARGV[at]
    local from = last[flow] or tonumber(redis.call('ZSCORE', flows, flow) or 0)
    last[flow] = math.min(highest, math.max(passed, from) + ARGV[at + 1])
    tags[#tags + 1] = math.ceil(last[flow])
    top = math.max(top, tags[#tags])
  end
  for flow, tag in pairs(last) do redis.call('ZADD', flows, tag, flow) end
  redis.call('HSET', state, 'top', top)
  return tags`);

// A tag above the highest one given is of a time before the queue was empty. The removal comes first: a Redis that is
// full refuses a script whose first change takes memory.
const passTag = script(`
  local flows, state, tag = KEYS[1], KEYS[2], tonumber(ARGV[1])
  local known = redis.call('HMGET', state, 'passed', 'top')
  if tag > tonumber(known[2] or 0) or tag <= tonumber(known[1] or 0) then return 0 end
  redis.call('ZREMRANGEBYSCORE', flows, '-inf', tag)
  return redis.call('HSET', state, 'passed', tag)`);

/** `keyOf`: BullMQ's key of a part of a queue; in a Cluster all keys of a queue lie together. */
export function redisTags(
  line: ScriptLine & { hget(key: string, field: string): Promise<string | null> },
  keyOf: (queue: string, part: string) => string,
): TagStore {
  const flowsOf = (queue: string): string => `jobfleet:tags:${keyOf(queue, 'flows')}`;
  const stateOf = (queue: string): string => `jobfleet:tags:${keyOf(queue, 'state')}`;
  return {
    async nextTags(queue, turns) {
      if (turns.length === 0) return [];
      const keys = [flowsOf(queue), stateOf(queue), keyOf(queue, 'prioritized'), keyOf(queue, 'delayed')];
      const args = turns.flatMap(({ flow, cost }) => [flow, cost]);
      const tags = await nextTags(line, keys, [highestTag, ...args]);
      if (!Array.isArray(tags) || tags.length !== turns.length)
        throw new TypeError(`Redis answered ${turns.length} turns with ${typeof tags}`);
      return tags.map(Number);
    },
    async passTag(queue, tag) {
      await passTag(line, [flowsOf(queue), stateOf(queue)], [tag]);
    },
    lastTag: async (queue) => Number((await line.hget(stateOf(queue), 'top')) ?? 0),
  };
}
