/**
 * A fleet of three workers transcodes videos of the shared data while one of them is killed every five seconds: each job
 * ends once, with what its file asks for, and the object store holds one set of outputs and nothing else. Every fourth
 * video; DATA_STORES=all takes the whole folder, which takes four times as long.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import videoTranscoding from '../jobs/video-transcoding/job.ts';
import { openStage, type Stage, type WorkerProcess } from './support/fleet.ts';
import { download } from './support/hls.ts';
import { redisIfHere } from './support/redis-database.ts';
import { sharedData } from './support/shared-data.ts';
import { expectedOf, namedBy, renditionsOf, videoEntries } from './support/video-corpus.ts';

vi.setConfig({ testTimeout: 400_000 });
const everyMs = 5_000;
const fleetSize = 3;
const videos = process.env['DATA_STORES'] === 'all' ? videoEntries : videoEntries.filter((_, at) => at % 4 === 0);
const stores = ['postgres', ...redisIfHere('killed-fleet')];

/** Kills the workers in turn, each as often as the others, and puts a new one in the place of each. */
async function killInTurn(stage: Stage, signal: AbortSignal): Promise<number> {
  const start = (): Promise<WorkerProcess> =>
    stage.start({ QUEUES: 'video-transcoding', LEASE_MS: '5000', CONCURRENCY: '1' });
  const workers = await Promise.all(Array.from({ length: fleetSize }, start));
  for (let kills = 0; ; kills += 1) {
    const isOver = await wait(everyMs, false, { signal }).catch(() => signal.aborted);
    if (isOver) return kills;
    const [victim] = workers.splice(0, 1);
    victim?.child.kill('SIGKILL');
    await victim?.exited;
    workers.push(await start());
  }
}

async function sourcesOf(stage: Stage): Promise<string[]> {
  return Promise.all(
    videos.map(async ({ file }, at) => {
      const key = `t/-/in/${at}.bin`;
      await stage.objects.put(key, await readFile(join(sharedData, file)), { contentType: 'application/octet-stream' });
      return key;
    }),
  );
}

describe.skipIf(videos.length === 0).each(stores)('a fleet under kills, on %s', (store) => {
  it('transcodes every file once', async () => {
    await using stage = await openStage(store, 'real');
    const { backend, client } = await stage.open();
    const sources = await sourcesOf(stage);
    const ended: string[] = [];
    const events = backend.events('video-transcoding');
    const note = ({ jobId }: { readonly jobId: string }) => ended.push(jobId);
    events.on('completed', note).on('failed', note);
    await events.waitUntilReady();
    const accepted = await client.enqueueMany(
      videoTranscoding,
      sources.map((key) => ({ payload: { video_url: `object:${key}`, user_id: 'user_1' } })),
    );
    const ids = accepted.map(({ id }) => id);
    const killing = new AbortController();
    const allEnded = vi.waitFor(() => expect(new Set(ended)).toEqual(new Set(ids)), {
      timeout: 300_000,
      interval: 200,
    });
    const [kills] = await Promise.all([killInTurn(stage, killing.signal), allEnded.finally(() => killing.abort())]);

    const root = join(stage.folder, 'seen');
    const keys = await download(stage.objects, 't/-/', root);
    const named = sources.map((key) => key.slice('t/-/'.length));
    let interruptions = 0;
    const rows = await Promise.all(
      videos.map(async (entry, at) => {
        const status = await client.status(ids[at] ?? '');
        interruptions += status?.interruptions ?? 0;
        if (status?.status === 'failed') return [entry.file, `dead ${status.error?.code}`];
        const result = videoTranscoding.result.parse(status?.result);
        named.push(...(await namedBy(root, result)));
        return [entry.file, renditionsOf(result)];
      }),
    );
    process.stdout.write(`${backend.kind}: ${kills} kills, ${interruptions} interruptions, ${keys.length} objects\n`);
    expect(Object.fromEntries(rows)).toEqual(
      Object.fromEntries(videos.map((entry) => [entry.file, expectedOf(entry)])),
    );
    expect(interruptions).toBeGreaterThan(0);
    expect(ended.toSorted()).toEqual(ids.toSorted());
    const [have, wanted] = [new Set(keys), new Set(named)];
    expect({
      unnamed: keys.filter((key) => !wanted.has(key)),
      missing: named.filter((key) => !have.has(key)),
    }).toEqual({ unnamed: [], missing: [] });
  });
});
