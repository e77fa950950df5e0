/** Tags in Redis: one sorted set of flows and one hash per queue; both are gone while the queue is empty. */
import { highestTag, type TagStore } from './fairness.ts';
import { type ScriptLine, script } from './redis-script.ts';

/**
 * Lua functions for scripts that give tags: `openTags` once, with the keys of flows, state, and the queue's prioritized
 * and delayed jobs, which are only looked at; `nextTag` for each job; `closeTags` at the end, which is the first to change
 * anything: what adds jobs must begin with a change that a full Redis refuses.
 */
export const tagFunctions = `
  local function openTags(flows, state, prioritized, delayed)
    local isEmpty = redis.call('EXISTS', prioritized, delayed) == 0
    local known = isEmpty and {} or redis.call('HMGET', state, 'passed', 'top')
    local passed, top = tonumber(known[1] or 0), tonumber(known[2] or 0)
    return {flows = flows, state = state, isEmpty = isEmpty, passed = passed, top = top, last = {}}
  end
  local function nextTag(tags, flow, cost)
    local known = not tags.isEmpty and redis.call('ZSCORE', tags.flows, flow)
    local from = tags.last[flow] or tonumber(known or 0)
    tags.last[flow] = math.min(${highestTag}, math.max(tags.passed, from) + cost)
    local tag = math.ceil(tags.last[flow])
    tags.top = math.max(tags.top, tag)
    return tag
  end
  local function closeTags(tags)
    if tags.isEmpty then redis.call('DEL', tags.flows, tags.state) end
    for flow, tag in pairs(tags.last) do redis.call('ZADD', tags.flows, tag, flow) end
    redis.call('HSET', tags.state, 'top', tags.top)
  end`;

// KEYS: as of openTags. ARGV: flow and cost of each turn.
const nextTags = script(`
  ${tagFunctions}
  local tags, given = openTags(unpack(KEYS)), {}
  for at = 1, #ARGV, 2 do given[#given + 1] = nextTag(tags, ARGV[at], ARGV[at + 1]) end
  closeTags(tags)
  return given`);

// A tag above the highest one given is of a time before the queue was empty. The removal comes first: a Redis that is
// full refuses a script whose first change takes memory.
const passTag = script(`
  local flows, state, tag = KEYS[1], KEYS[2], tonumber(ARGV[1])
  local known = redis.call('HMGET', state, 'passed', 'top')
  if tag > tonumber(known[2] or 0) or tag <= tonumber(known[1] or 0) then return 0 end
  redis.call('ZREMRANGEBYSCORE', flows, '-inf', tag)
  return redis.call('HSET', state, 'passed', tag)`);

/** What `openTags` wants. `keyOf`: BullMQ's key of a part of the queue. */
export function tagKeys(keyOf: (part: string) => string): readonly [string, string, string, string] {
  return [`jobfleet:tags:${keyOf('flows')}`, `jobfleet:tags:${keyOf('state')}`, keyOf('prioritized'), keyOf('delayed')];
}

/** `keyOf`: BullMQ's key of a part of a queue; in a Cluster all keys of a queue lie together. */
export function redisTags(
  line: ScriptLine & { hget(key: string, field: string): Promise<string | null> },
  keyOf: (queue: string, part: string) => string,
): TagStore {
  const keysOf = (queue: string) => tagKeys((part) => keyOf(queue, part));
  return {
    async nextTags(queue, turns) {
      if (turns.length === 0) return [];
      const args = turns.flatMap(({ flow, cost }) => [flow, cost]);
      const tags = await nextTags(line, keysOf(queue), args);
      if (!Array.isArray(tags) || tags.length !== turns.length)
        throw new TypeError(`Redis answered ${turns.length} turns with ${typeof tags}`);
      return tags.map(Number);
    },
    async passTag(queue, tag) {
      await passTag(line, keysOf(queue).slice(0, 2), [tag]);
    },
    lastTag: async (queue) => Number((await line.hget(keysOf(queue)[1], 'top')) ?? 0),
  };
}
