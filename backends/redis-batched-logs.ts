/** Log lines on Redis: those of one job in one script call. */
import type { Append } from './batched-logs.ts';
import { type ScriptLine, script } from './redis-script.ts';
import { asError } from './unreachable.ts';

// KEYS: the job, its lines. ARGV: how many stay ('' = all), the new lines.
const addLines = script(`
  if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
  local count = redis.call('RPUSH', KEYS[2], unpack(ARGV, 2))
  local keep = tonumber(ARGV[1])
  if not keep then return count end
  redis.call('LTRIM', KEYS[2], -keep, -1)
  return math.min(keep, count)`);

export function redisLogs(line: ScriptLine, keyOf: (name: string) => string): Append {
  return (jobs) =>
    Promise.all(
      jobs.map(({ id, rows, keep }) =>
        addLines(line, [keyOf(id), keyOf(`${id}:logs`)], [keep ?? '', ...rows]).then(
          (count) => (Number(count) < 0 ? undefined : Number(count)),
          asError,
        ),
      ),
    );
}
