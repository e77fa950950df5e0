/** A fleet whose processes start at once and die in mid-slot: every slot of a schedule has one run, and none is missing. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../backends/backend.ts';
import { openEmbedded } from '../backends/embedded/server.ts';
import { openBackend } from '../backends/open.ts';
import { pauseKey, readRecord, scheduleKey } from '../backends/schedule-record.ts';
import { readSlotId } from '../backends/slot-id.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { openFolderStore } from '../runtime/object-store-folder.ts';
import { program } from './support/compiled.ts';
import { onRedisForms } from './support/redis-forms.ts';

const script = program('tests/support/schedule-process.ts');
const type = 'ticking';
const waitMs = 60_000;
const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

interface Place {
  readonly queueUrl: string;
  readonly folder: string;
  readonly backend: Backend;
  readonly objects: ObjectStore;
}

/** `store`: `embedded`, `postgres` (a server of the place) or an address. Everybody who opens a store keeps all its schedules. */
async function openPlace(store: string): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-schedules-'));
  await chmod(folder, 0o711);
  closers.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const server =
    store === 'postgres' ? await openEmbedded(join(folder, 'server'), { onError: () => undefined }) : undefined;
  if (server !== undefined) closers.push(() => server.close());
  const queueUrl = server?.url ?? (store === 'embedded' ? `embedded:${join(folder, 'queue')}` : store);
  const backend = await openBackend(queueUrl, { onError: () => undefined });
  closers.push(() => backend.close());
  const forget = async (): Promise<void> => {
    await backend.queue(type).obliterate({ force: true });
    for (const key of [scheduleKey(type), pauseKey(type)]) {
      const [stored] = await backend.records.get([key]);
      if (stored !== undefined) await backend.records.compareAndSet(key, stored.version, null, null);
    }
  };
  await forget();
  closers.push(forget);
  return { queueUrl, folder, backend, objects: await openFolderStore(join(folder, 'objects')) };
}

interface Instance {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exited: Promise<number | null>;
}

/** Several at the same moment; resolves when all of them claim. */
async function startInstances({ queueUrl, folder }: Place, count: number): Promise<Instance[]> {
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    QUEUE_URL: queueUrl,
    STORAGE_URL: `file:${join(folder, 'objects')}`,
    WORK_DIR: folder,
    LEASE_MS: '2000',
    SHUTDOWN_MS: '3000',
  };
  const started = Array.from({ length: count }, (): Instance => {
    const child = spawn(process.execPath, script, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += String(chunk)));
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    return { child, output: () => text, exited };
  });
  closers.push(async () => {
    for (const { child, exited } of started) {
      child.kill('SIGKILL');
      await exited;
    }
  });
  for (const { output } of started)
    await vi.waitFor(() => {
      if (!output().includes('ready\n')) throw new Error(`not ready:\n${output()}`);
    }, waitMs);
  return started;
}

/** How often each slot left a mark, by slot. */
async function marks(objects: ObjectStore, what: 'ended' | 'started'): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  for await (const { key } of objects.list(`t/-/${what}/`)) {
    const slot = readSlotId(key.split('/')[3] ?? '')?.slot;
    if (slot !== undefined) found.set(slot, (found.get(slot) ?? 0) + 1);
  }
  return found;
}

/** Resolves when so many more slots have ended than before. */
async function moreEnded(place: Place, count: number): Promise<void> {
  const before = (await marks(place.objects, 'ended')).size;
  await vi.waitFor(
    async () => {
      const [stored] = await place.backend.records.get([scheduleKey(type)]);
      if ((await marks(place.objects, 'ended')).size < before + count)
        throw new Error(`Fewer than ${count} slots ended; ${stored?.value}`);
    },
    { timeout: waitMs, interval: 50 },
  );
}

/** Resolves while a run is under way. */
async function midSlot(place: Place): Promise<void> {
  await vi.waitFor(
    async () => {
      const ended = await marks(place.objects, 'ended');
      const runs = [...(await marks(place.objects, 'started')).keys()].some((slot) => !ended.has(slot));
      if (!runs) throw new Error('nothing runs');
    },
    { timeout: waitMs, interval: 5 },
  );
}

async function pause({ backend }: Place): Promise<void> {
  await backend.records.putIfAbsent(pauseKey(type), '{"by":"test","reason":"over","at":1}', null);
}

function slotsOf(store: () => string): void {
  it('gives every slot one run, with four instances that start at once and are killed in mid-slot', async () => {
    const place = await openPlace(store());
    const startedAt = Date.now();
    const instances = await startInstances(place, 4);
    await moreEnded(place, 2);
    // Two one by one, in the middle of a run; then the rest together. Meanwhile nobody is there.
    for (const { child, exited } of instances.slice(0, 2)) {
      await midSlot(place);
      child.kill('SIGKILL');
      await exited;
      await moreEnded(place, 1);
    }
    await midSlot(place);
    for (const { child } of instances.slice(2)) child.kill('SIGKILL');
    await Promise.all(instances.map(({ exited }) => exited));
    const last = await startInstances(place, 2);
    await moreEnded(place, 3);
    await pause(place);
    await vi.waitFor(
      async () => {
        const [stored] = await place.backend.records.get([scheduleKey(type)]);
        const { open, skipped } = readRecord(stored?.value);
        if (open.length > 0 || skipped?.reason !== 'paused')
          throw new Error(`not at rest: ${stored?.value}\n${last.map(({ output }) => output()).join('\n---\n')}`);
      },
      { timeout: waitMs, interval: 50 },
    );
    for (const { child } of last) child.kill('SIGTERM');
    expect(await Promise.all(last.map(({ exited }) => exited))).toEqual([0, 0]);
    const ended = [...(await marks(place.objects, 'ended')).keys()].toSorted((a, b) => a - b);
    const [first = Number.NaN] = ended;
    expect(first).toBeGreaterThanOrEqual(startedAt);
    // Every other second from the first tick to the last one before the pause.
    expect(ended).toEqual(Array.from(ended, (_, index) => first + index * 2_000));
    // One run at a time: each death can have made one slot start again.
    const starts = [...(await marks(place.objects, 'started')).values()].reduce((sum, count) => sum + count, 0);
    expect(starts - ended.length).toBeLessThanOrEqual(instances.length);
    const [stored] = await place.backend.records.get([scheduleKey(type)]);
    expect(readRecord(stored?.value).last).toMatchObject({ slot: ended.at(-1), outcome: 'done' });
  }, 240_000);
}

describe.each(['embedded', 'postgres'])('%s', (store) => {
  slotsOf(() => store);
});
onRedisForms('schedules', (_name, url) => slotsOf(url));
