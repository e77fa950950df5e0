/**
 * I1: what a killable child costs. The same handler does about 15 ms of work on an image, or nothing at all: in process, in a
 * child that was ready before the job came, and in a child started for the job. One after the other in every round;
 * milliseconds from the call to the result, which in a child includes the proof that nobody of it is left.
 */
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import sharp from 'sharp';
import type { Handler } from '../jobs/define.ts';
import type { Services } from '../workers/context.ts';
import { createContext } from '../workers/context.ts';
import { openPool, type Pool } from '../workers/isolate/pool.ts';
import { attemptDocuments } from '../workers/services/documents.ts';
import { atMost, type BenchOptions, type Goal, goal, median, type Round, type Target } from './goal.ts';
import noop from './jobs/noop/handler.ts';
import thumbnail from './jobs/thumbnail/handler.ts';
import { payloadOf } from './payload.ts';

const facts = { id: 'thumbnail_1', tenant: '-', attempt: 1, maxAttempts: 1, fence: 1 };
const signal = new AbortController().signal;
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
/** A job comes when the next child is ready, as it is where jobs are longer than a child's start. */
const pauseMs = 500;

/** 1,600 × 1,200 of noise under a gradient, as JPEG: as much work as a photo of that size. */
async function makePhoto(path: string): Promise<void> {
  const size = { width: 1_600, height: 1_200 };
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 20 };
  await sharp({ create: { ...size, channels: 3, background: '#446688', noise } })
    .jpeg({ quality: 80 })
    .toFile(path);
}

/** The worker's side without a store: an input is copied into the folder, an output stays there. */
function servicesOf(photo: string, folder: string): Services {
  const refuse = (): never => {
    throw new Error('The bench job asks for nothing but its input and its output.');
  };
  return {
    onceBegin: async () => refuse(),
    onceEnd: async () => refuse(),
    onceForget: async () => refuse(),
    dependencyBegin: async () => refuse(),
    dependencyEnd: async () => refuse(),
    http: async () => refuse(),
    enqueue: async () => refuse(),
    children: async () => [],
    objectHead: async () => refuse(),
    objectLink: async () => refuse(),
    documents: attemptDocuments(undefined, '-'),
    progress: () => undefined,
    log: () => undefined,
    objectFetch: async () => {
      const path = join(folder, 'input-1');
      await copyFile(photo, path);
      return { path, sizeBytes: (await stat(path)).size, sha256: '' };
    },
    objectPut: async (key, path) => ({ object: `object:${key}`, sizeBytes: (await stat(path)).size }),
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

interface Work {
  readonly name: string;
  readonly folder: string;
  readonly handler: Handler;
  readonly payload: unknown;
}

const works: readonly Work[] = [
  { name: 'image', folder: 'thumbnail', handler: thumbnail, payload: { input: 'object:photo' } },
  { name: 'no-op', folder: 'noop', handler: noop, payload: payloadOf(0) },
];

const urlOf = ({ folder }: Work): string => new URL(`jobs/${folder}/handler.${extension}`, import.meta.url).href;

async function measure(work: Work, pool: Pool, base: string, photo: string, quick: boolean): Promise<Goal[]> {
  const [roundCount, jobsPerRound] = quick ? [3, 3] : [5, 5];
  const { policy } = thumbnail.job;
  const inChild = (way: 'cold' | 'ready'): Promise<number> =>
    timed(() =>
      pool.run(`${work.name} ${way}`, work.payload, (folder) => servicesOf(photo, folder), { facts, signal, policy }),
    );
  const opened = await work.handler.open({});
  const inProcess = (): Promise<number> =>
    timed(async () => {
      const folder = await mkdtemp(join(base, 'attempt-'));
      const services = servicesOf(photo, folder);
      await opened.run(work.payload, createContext(facts, services, { folder: () => folder, signal: () => signal }));
      await rm(folder, { recursive: true });
    });
  const againstProcess: Round[] = [];
  const againstCold: Round[] = [];
  await Promise.all([inChild('ready'), inProcess()]);
  for (let round = 0; round < roundCount; round += 1) {
    const times = { process: [] as number[], ready: [] as number[], cold: [] as number[] };
    for (let job = 0; job < jobsPerRound; job += 1) {
      await wait(pauseMs);
      times.process.push(await inProcess());
      times.ready.push(await inChild('ready'));
      await wait(pauseMs);
      times.cold.push(await inChild('cold'));
    }
    const ready = median(times.ready);
    againstProcess.push({ ours: ready, theirs: median(times.process) });
    againstCold.push({ ours: ready, theirs: median(times.cold) });
  }
  await opened.close();
  const level = `level ${pool.level}${pool.hasOwnUser ? ', own user' : ''}`;
  const line = (name: string, rounds: Round[], ...targets: Target[]): Goal =>
    goal({ goal: 'I1', name: `${work.name} job in a killable child, ms, ${name}`, backend: '-' }, rounds, ...targets);
  return [
    line(`ready before it, against in process (${level})`, againstProcess, atMost(15, 45, 'more')),
    line('ready before it, against one started for it', againstCold),
  ];
}

export async function run({ quick }: BenchOptions): Promise<Goal[]> {
  const base = await mkdtemp(join(tmpdir(), 'jobfleet-bench-'));
  const photo = join(base, 'photo.jpg');
  await makePhoto(photo);
  const { policy } = thumbnail.job;
  const say = (more: object, message: string) => void process.stderr.write(`  ${message} ${JSON.stringify(more)}\n`);
  const pool = await openPool({
    types: works.flatMap((work) => [
      { name: `${work.name} ready`, handlerUrl: urlOf(work), policy, env: {}, spares: 1 },
      { name: `${work.name} cold`, handlerUrl: urlOf(work), policy, env: {}, spares: 0 },
    ]),
    environment: process.env,
    log: { warn: say, error: say },
  });
  try {
    const goals: Goal[] = [];
    for (const work of works) goals.push(...(await measure(work, pool, base, photo, quick)));
    return goals;
  } finally {
    await pool.close();
    await rm(base, { recursive: true });
  }
}
