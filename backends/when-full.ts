/**
 * A Redis at its memory limit refuses every script whose first change takes memory. BullMQ's claims and finishes are
 * such scripts: a full Redis could never be emptied by the workers that would empty it, and their loops would fail
 * thousands of times a second. But Redis lets a script go on once it has changed something that takes none. So the
 * scripts that move jobs on begin with a change that changes nothing. Adds do not: they stay refused.
 */
import { Cluster, type Redis } from 'ioredis';
import { readInfo } from './redis-info.ts';

/** None of them adds a job; the first key of each never expires, so that there is nothing to persist. */
const movers = new Set([
  'addLog',
  'changePriority',
  'cleanJobsInSet',
  'drain',
  'extendLocks',
  'moveJobFromActiveToWait',
  'moveJobsToWait',
  'moveStalledJobsToWait',
  'moveToActive',
  'moveToDelayed',
  'moveToFinished',
  'moveToWaitingChildren',
  'removeJob',
  'retryJob',
  'saveStacktrace',
  'updateData',
  'updateProgress',
]);
const harmlessChange = "redis.call('PERSIST', KEYS[1])\n";

/** Call before BullMQ sees the client: it defines its commands, `<script>:<version>`, on first use. */
export function workWhenFull(client: Pick<Redis, 'defineCommand'>): void {
  const define = client.defineCommand.bind(client);
  client.defineCommand = (name, definition) =>
    define(
      name,
      movers.has(name.split(':', 1)[0] ?? '') ? { ...definition, lua: harmlessChange + definition.lua } : definition,
    );
}

/** Share of `maxmemory` in use, of the fullest node; undefined where no node has a limit. */
export async function fullness(client: Cluster | Redis): Promise<number | undefined> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client];
  const shares = await Promise.all(nodes.map(async (node) => usedShare(await node.info('memory'))));
  const known = shares.filter((share) => share !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function usedShare(text: string): number | undefined {
  const { maxmemory = '0', used_memory: used = '0' } = readInfo(text);
  return Number(maxmemory) === 0 ? undefined : Number(used) / Number(maxmemory);
}
