/** Jobs of one state or one tenant from BullMQ's lists and sorted sets, and from our index of tenants. */
import { type FoundState, foundStates, type JobList, type JobScanner, type ScannedJob, tenantOf } from './find.ts';
import type { RedisClient } from './redis-client.ts';
import { script } from './redis-script.ts';
import { tenantKey } from './tenant-index.ts';

/** Where the jobs of a state are, in the order of their pages. Lists begin with what came last. */
const storedIn: Readonly<Record<FoundState, readonly Source[]>> = {
  active: [{ key: 'active', isList: true }],
  waiting: [
    { key: 'prioritized', isList: false },
    { key: 'wait', isList: true },
  ],
  delayed: [{ key: 'delayed', isList: false }],
  'waiting-children': [{ key: 'waiting-children', isList: false }],
  completed: [{ key: 'completed', isList: false }],
  failed: [{ key: 'failed', isList: false }],
};

// KEYS: the sets of five states, and the active list. ARGV: prefix of the jobs, then ids. A long waiting list is not
// looked through: what is nowhere else is there.
const statesOf = script(`
  local names = {'completed', 'failed', 'delayed', 'waiting-children', 'waiting'}
  local states = {}
  for at = 2, #ARGV do
    local state = ''
    for set = 1, 5 do
      if state == '' and redis.call('ZSCORE', KEYS[set], ARGV[at]) then state = names[set] end
    end
    if state == '' and redis.call('EXISTS', ARGV[1] .. ARGV[at]) == 1 then
      state = redis.call('LPOS', KEYS[6], ARGV[at]) and 'active' or 'waiting'
    end
    states[#states + 1] = state
  end
  return states`);

interface Entry {
  readonly id: string;
  readonly place: string;
}

interface Page {
  readonly entries: readonly Entry[];
  readonly next: string | undefined;
}

export function redisScanner(client: RedisClient, prefixOf: (queue: string) => string): JobScanner {
  return {
    perCall: 1_000,
    textPerList: 10_000,
    async scan({ queue, list, after, count, text }) {
      const prefix = `${prefixOf(queue)}:${queue}:`;
      const sources = sourcesOf(list, queue, prefix);
      const { entries, next } = await pageOf(client, sources, after, count);
      const states = 'state' in list ? entries.map(() => list.state) : await askStates(client, prefix, entries);
      const fields = ['opts', 'failedReason', 'timestamp', ...(text === undefined ? [] : ['data'])];
      // Commands sent in one turn of the event loop share a round trip.
      const stored = await Promise.all(entries.map(({ id }) => client.hmget(`${prefix}${id}`, ...fields)));
      const jobs = entries.flatMap((entry, index) =>
        describe(entry, states[index], stored[index] ?? [], text?.toLowerCase()),
      );
      return { jobs, next };
    },
  };
}

interface Source {
  readonly key: string;
  readonly isList: boolean;
}

function sourcesOf(list: JobList, queue: string, prefix: string): Source[] {
  if ('tenant' in list) return [{ key: tenantKey(queue, list.tenant), isList: false }];
  return storedIn[list.state].map(({ key, isList }) => ({ key: prefix + key, isList }));
}

/** A place is the source's number, then score or offset, then the id; the number alone is its start. */
async function pageOf(
  client: RedisClient,
  sources: readonly Source[],
  after: string | undefined,
  count: number,
): Promise<Page> {
  const [, index, number, id] = /^(\d)(?: (-?[\d.e+]{1,24}) (\S{1,200}))?$/.exec(after ?? '0') ?? [];
  const source = index === undefined ? undefined : sources[Number(index)];
  if (index === undefined || source === undefined) throw new RangeError('no place in a list of Redis');
  const last = number === undefined || id === undefined ? undefined : { number: Number(number), id };
  const { key, isList } = source;
  const { entries, isEnd } = await (isList ? listPage : setPage)(client, key, last, count);
  const placed = entries.map((entry) => ({ id: entry.id, place: `${index} ${entry.number} ${entry.id}` }));
  const following = sources.length > Number(index) + 1 ? String(Number(index) + 1) : undefined;
  return { entries: placed, next: isEnd ? following : (placed.at(-1)?.place ?? after) };
}

interface Last {
  readonly number: number;
  readonly id: string;
}

async function setPage(client: RedisClient, key: string, last: Last | undefined, count: number) {
  const rank = last === undefined ? -1 : await client.zrevrank(key, last.id);
  // One that has left: on from its score, past those of the same score that stood before it.
  const from = rank === null ? await client.zcount(key, `(${last?.number ?? 0}`, '+inf') : rank + 1;
  const ties = rank === null ? await client.zcount(key, last?.number ?? 0, last?.number ?? 0) : 0;
  const flat = await client.zrevrange(key, from, from + count + ties - 1, 'WITHSCORES');
  const all = Array.from({ length: flat.length / 2 }, (_, at) => ({
    id: flat[at * 2] ?? '',
    number: Number(flat[at * 2 + 1]),
  }));
  const isPast = (entry: Last) => last === undefined || entry.number !== last.number || entry.id < last.id;
  const entries = rank === null ? all.filter(isPast) : all;
  return { entries: entries.slice(0, count), isEnd: entries.length <= count && all.length < count + ties };
}

/** Jobs leave a list at its end: what stood before the last one seen is found by its number when that one has left. */
async function listPage(client: RedisClient, key: string, last: Last | undefined, count: number) {
  const found = last === undefined ? -1 : await client.lpos(key, last.id);
  const from = found === null ? (last?.number ?? 0) : found + 1;
  const ids = await client.lrange(key, from, from + count - 1);
  return { entries: ids.map((id, at) => ({ id, number: from + at })), isEnd: ids.length < count };
}

async function askStates(
  client: RedisClient,
  prefix: string,
  entries: readonly Entry[],
): Promise<(FoundState | undefined)[]> {
  if (entries.length === 0) return [];
  const keys = ['completed', 'failed', 'delayed', 'waiting-children', 'prioritized', 'active'];
  const states = await statesOf(
    client,
    keys.map((key) => prefix + key),
    [prefix, ...entries.map(({ id }) => id)],
  );
  return Array.isArray(states) ? states.map((state) => foundStates.find((known) => known === state)) : [];
}

/** Nothing for a job that is gone, or whose options cannot be read. */
function describe(
  { id, place }: Entry,
  state: FoundState | undefined,
  [opts, reason, timestamp, data]: readonly (string | null | undefined)[],
  text: string | undefined,
): ScannedJob[] {
  if (state === undefined || typeof opts !== 'string') return [];
  const hasText = text === undefined || `${id}\n${reason ?? ''}\n${data ?? ''}`.toLowerCase().includes(text);
  const tenant = tenantIn(opts);
  return [{ id, state, tenant, reason: reason ?? '', createdAt: Number(timestamp), hasText, place }];
}

function tenantIn(opts: string): string {
  try {
    return tenantOf({ opts: Object(JSON.parse(opts)) });
  } catch (error) {
    if (error instanceof SyntaxError) return '-';
    throw error;
  }
}
