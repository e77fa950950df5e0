/** The workers of the fleet: each says every few seconds what it does, in a record that expires when it has died. */
import { z } from 'zod';
import type { RecordStore } from './backend.ts';
import { nameSet } from './name-set.ts';
import { readAll, write } from './operator-record.ts';

const queueFacts = z.object({
  queue: z.string(),
  concurrency: z.number(),
  /** Attempts running now. */
  active: z.number(),
  /** Attempts ended in the last minute, and half of them and 95 % of them took at most so long. */
  ended: z.number(),
  p50Ms: z.number().nullable(),
  p95Ms: z.number().nullable(),
  /** Of the last five minutes, for the scaling of a fleet. */
  ended5m: z.number(),
  meanMs5m: z.number().nullable(),
});

const circuit = z.object({ name: z.string(), state: z.union([z.literal(0), z.literal(1), z.literal(2)]) });

const record = z.object({
  host: z.string(),
  pid: z.number(),
  version: z.string(),
  /** Epoch ms of the store's clock, as far as the worker knows it. */
  startedAt: z.number(),
  beatAt: z.number(),
  /** The store's clock minus the worker's; null before it was compared. */
  clockOffMs: z.number().nullable(),
  memoryMb: z.number(),
  active: z.number(),
  p50Ms: z.number().nullable(),
  p95Ms: z.number().nullable(),
  /** Why it claims nothing; null when it claims. */
  notClaiming: z.string().nullable(),
  /** Breakers that are not closed, the open ones first; the first twenty. Workers of an older release say nothing of them. */
  circuits: z.array(circuit).default([]),
  /** The first hundred. */
  queues: z.array(queueFacts),
});
export type WorkerFacts = z.output<typeof record>;

/** A worker that has not been heard of for so long counts as gone. */
export const aliveMs = 60_000;
const queuesShown = 100;
const circuitsShown = 20;
const setName = 'workers';

const workerKey = (instance: string): string => `worker:${instance}`;

/** `instance`: unique in the fleet, up to 64 characters. Answers whether the store still knew it. */
export async function putWorker(records: RecordStore, instance: string, facts: WorkerFacts): Promise<boolean> {
  const notClaiming = facts.notClaiming?.slice(0, 500) ?? null;
  const queues = facts.queues.slice(0, queuesShown);
  const circuits = facts.circuits.slice(0, circuitsShown);
  const wasKnown = await write(records, workerKey(instance), { ...facts, circuits, notClaiming, queues }, aliveMs);
  // Every time: whoever looked while this worker could not speak has dropped its name.
  await nameSet(records, setName).add(instance);
  return wasKnown;
}

/** At the end of a worker's life, so that it is not listed for another minute. */
export async function removeWorker(records: RecordStore, instance: string): Promise<void> {
  await write(records, workerKey(instance), null);
  await nameSet(records, setName).remove([instance]);
}

/** Those that were heard of in the last minute. Names of the dead are dropped on the way. */
export async function listWorkers(
  records: RecordStore,
): Promise<readonly (WorkerFacts & { readonly instance: string })[]> {
  const names = nameSet(records, setName);
  const instances = await names.list();
  const found = await readAll(records, instances.map(workerKey), record);
  const gone = instances.filter((_, index) => found[index] === undefined);
  if (gone.length > 0) await names.remove(gone);
  return instances.flatMap((instance, index) => {
    const facts = found[index]?.value;
    return facts === undefined ? [] : [{ instance, ...facts }];
  });
}
