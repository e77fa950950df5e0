/**
 * I1: what a killable child costs. The same handler does about 15 ms of work on an image: in process, in a child that was
 * ready before the job came, and in a child started for the job. One after the other in every round; milliseconds from
 * the call to the result, which in a child includes the proof that nobody of it is left.
 */
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import sharp from 'sharp';
import type { Services } from '../workers/context.ts';
import { createContext } from '../workers/context.ts';
import { openPool } from '../workers/isolate/pool.ts';
import { attemptDocuments } from '../workers/services/documents.ts';
import { type BenchOptions, type Goal, goal, median, type Round } from './goal.ts';
import handler from './jobs/thumbnail/handler.ts';

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

export async function run(options: BenchOptions): Promise<Goal[]> {
  const [roundCount, jobsPerRound] = options.quick ? [3, 3] : [5, 5];
  const base = await mkdtemp(join(tmpdir(), 'jobfleet-bench-'));
  const photo = join(base, 'photo.jpg');
  await makePhoto(photo);
  const handlerUrl = new URL(`jobs/thumbnail/handler.${extension}`, import.meta.url).href;
  const { policy } = handler.job;
  const log = {
    warn: (more: object, message: string) => void process.stderr.write(`  ${message} ${JSON.stringify(more)}\n`),
    error: (more: object, message: string) => void process.stderr.write(`  ${message} ${JSON.stringify(more)}\n`),
  };
  const pool = await openPool({
    types: [
      { name: 'ready', handlerUrl, policy, env: {}, spares: 1 },
      { name: 'cold', handlerUrl, policy, env: {}, spares: 0 },
    ],
    environment: process.env,
    log,
  });
  const inChild = (type: string): Promise<number> =>
    timed(() =>
      pool.run(type, { input: 'object:photo' }, (folder) => servicesOf(photo, folder), { facts, signal, policy }),
    );
  const opened = await handler.open({});
  const inProcess = (): Promise<number> =>
    timed(async () => {
      const folder = await mkdtemp(join(base, 'attempt-'));
      const services = servicesOf(photo, folder);
      await opened.run(
        { input: 'object:photo' },
        createContext(facts, services, { folder: () => folder, signal: () => signal }),
      );
      await rm(folder, { recursive: true });
    });
  const againstProcess: Round[] = [];
  const againstCold: Round[] = [];
  try {
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
  } finally {
    await opened.close();
    await pool.close();
    await rm(base, { recursive: true });
  }
  const addedMs = median(againstProcess.map((round) => round.ours - round.theirs));
  const level = `level ${pool.level}${pool.hasOwnUser ? ', own user' : ''}`;
  const name = `image job in a killable child against in process, ms (${addedMs.toFixed(1)} ms more, ${level})`;
  return [
    goal({ goal: 'I1', name, backend: '-' }, againstProcess),
    goal(
      { goal: 'I1', name: 'child ready before its job against a child started for it, ms', backend: '-' },
      againstCold,
    ),
  ];
}
