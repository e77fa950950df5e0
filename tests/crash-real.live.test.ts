/**
 * kill -9 in the middle of real work: a transcode whose ffmpeg runs, a mail whose server has not answered yet, and one
 * it has answered. The job runs again, one set of outputs is left, and one mail. On the embedded store also of everything:
 * the worker and every process of the database.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import emailSending from '../jobs/email-sending/job.ts';
import { ffmpegMissing } from '../jobs/video-transcoding/ffmpeg.ts';
import videoTranscoding from '../jobs/video-transcoding/job.ts';
import { childrenOf } from './support/children.ts';
import { clip, fastH264, tone } from './support/clips.ts';
import { killServer, openStage, type Stage, type WorkerProcess } from './support/fleet.ts';
import { decode, download, parseMaster, segmentSeconds } from './support/hls.ts';
import { redisIfHere } from './support/redis-database.ts';
import { openSmtpSink, type SmtpSink } from './support/smtp-sink.ts';

// What is killed on PostgreSQL is killed there by killed-fleet and effects-once too: here only where all is asked for.
const onPostgres = process.env['DATA_STORES'] === 'all' ? ['postgres'] : [];
// A killed worker's job waits for its lease, the next sweep and the start of a process.
vi.setConfig({ testTimeout: 120_000 });
const leaseMs = '5000';
const clipSeconds = 8;

const cases: readonly (readonly [what: 'a worker' | 'everything', store: string])[] = [
  ...['embedded', ...onPostgres, ...redisIfHere('crash-real')].map((store) => ['a worker', store] as const),
  ['everything', 'embedded'],
];
const missing = await ffmpegMissing();

describe.each(cases)('%s killed in the middle of real work, on %s', (what, store) => {
  let stage: Stage;
  let sink: SmtpSink;
  beforeAll(async () => {
    [stage, sink] = await Promise.all([openStage(store, 'real'), openSmtpSink()]);
  });
  afterAll(async () => {
    await stage.close();
    await sink.close();
  });

  const alive = new Set<WorkerProcess>();
  afterEach(() => Promise.all([...alive].map(kill)));
  const start = async (queue: string): Promise<WorkerProcess> => {
    const worker = await stage.start({ QUEUES: queue, LEASE_MS: leaseMs, SMTP_URL: sink.url });
    alive.add(worker);
    return worker;
  };
  const kill = async (worker: WorkerProcess): Promise<void> => {
    alive.delete(worker);
    worker.child.kill('SIGKILL');
    await worker.exited;
  };
  const strike = async (worker: WorkerProcess): Promise<void> => {
    const killed = kill(worker);
    if (what === 'everything') await killServer(join(stage.folder, 'queue'));
    await killed;
  };
  /** What the receivers' servers have taken, by the name that tells one mail from another. */
  const accepted = (): string[] =>
    sink.mails.map(({ source }) => /^Message-ID: (.*)$/im.exec(source)?.[1]?.trim() ?? '');
  const welcome = { to: 'ada@example.com', template: 'welcome' } as const;

  it.skipIf(missing !== undefined)('leaves one whole set of outputs of a transcode', async () => {
    const { client } = await stage.open();
    const source = await clip(
      stage.folder,
      'in.mp4',
      [`testsrc2=size=1280x720:rate=30:duration=${clipSeconds}`, tone],
      fastH264,
    );
    await stage.objects.put('t/-/in.mp4', source, { contentType: 'video/mp4' });
    const first = await start('video-transcoding');
    const { id } = await client.enqueue(videoTranscoding, {
      video_url: 'object:t/-/in.mp4',
      user_id: 'user_1',
      resolutions: ['360p', '720p'],
    });
    const pid = first.child.pid ?? 0;
    await vi.waitFor(
      async () => {
        const { progress = 0, progressNote } = (await client.status(id)) ?? {};
        if (progress < 3 || !/frames/.test(progressNote ?? '')) throw new Error(`not encoding yet: ${progressNote}`);
        expect(await commandsOf(childrenOf(pid))).toContain('ffmpeg');
      },
      { timeout: 45_000, interval: 50 },
    );
    await strike(first);
    expect((await keysOf(stage)).filter((key) => key !== 't/-/in.mp4')).toEqual([]);
    // The killed worker's ffmpeg ends by itself, before anybody comes to tidy up.
    await expect.poll(() => childrenOf(pid), { timeout: 10_000 }).toEqual([]);
    const second = await start('video-transcoding');
    const { result, ...status } = await stage.reaches(id, 'completed', 'failed');
    expect(status).toMatchObject({ status: 'completed', attempt: 1, interruptions: 1, error: null });
    await expectOneSet(stage, videoTranscoding.result.parse(result));
    expect(new Set(await ownersOf(stage))).toEqual(new Set([second.child.pid]));
  });

  it('before the mail server answers: the mail is accepted once', async () => {
    const { client } = await stage.open();
    const before = sink.mails.length;
    const held = sink.holdNext();
    const first = await start('email-sending');
    const { id } = await client.enqueue(emailSending, welcome);
    await held;
    await strike(first);
    await start('email-sending');
    expect(await stage.reaches(id, 'completed', 'failed')).toMatchObject({
      status: 'completed',
      attempt: 1,
      interruptions: 1,
    });
    expect(accepted().slice(before)).toEqual([`<${id}@localhost>`]);
  });

  it('after the mail server accepted and before that was noted: repeated under the same Message-ID, which receivers drop', async () => {
    const { client } = await stage.open();
    const before = sink.mails.length;
    const held = sink.holdNext();
    const first = await start('email-sending');
    const { id } = await client.enqueue(emailSending, welcome);
    const { accept } = await held;
    // Frozen, it cannot read the answer: the server has the mail and the once-record is still an intent.
    first.child.kill('SIGSTOP');
    accept();
    await strike(first);
    await start('email-sending');
    expect(await stage.reaches(id, 'completed', 'failed')).toMatchObject({
      status: 'completed',
      attempt: 1,
      interruptions: 1,
      result: { messageId: `<${id}@localhost>` },
    });
    const mails = accepted().slice(before);
    // No sender can tell "accepted, answer lost" from "not accepted": it is sent again, and told apart by its name.
    expect(mails).toHaveLength(2);
    expect(new Set(mails)).toEqual(new Set([`<${id}@localhost>`]));
  });
});

async function keysOf({ objects }: Stage): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of objects.list('')) keys.push(key);
  return keys;
}

/** Pids of the workers whose attempts have folders now. */
async function ownersOf({ folder }: Stage): Promise<number[]> {
  const base = join(folder, `jobfleet-${process.getuid?.() ?? 'attempts'}`);
  const names = (await readdir(base)).filter((name) => name.endsWith('.owner'));
  const texts = await Promise.all(names.map((name) => readFile(join(base, name), 'utf8')));
  return texts.map((text) => Number(/"pid":(\d+)/.exec(text)?.[1]));
}

/** Names of the programs that run under these pids. */
async function commandsOf(pids: readonly number[]): Promise<string[]> {
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.map((line) => basename(line.split('\0')[0] ?? ''));
}

/** Everything in the object store is the input or named by the result, directly or through playlists; all of it plays. */
async function expectOneSet(stage: Stage, result: { playlist: string; poster?: string | undefined }): Promise<void> {
  const root = join(stage.folder, 'seen');
  const keys = await download(stage.objects, '', root);
  const named = new Set(['t/-/in.mp4']);
  const name = (key: string): string => {
    named.add(key);
    return join(root, key);
  };
  if (result.poster !== undefined) name(result.poster.replace('object:', ''));
  const masterKey = result.playlist.replace('object:', '');
  const { variants, media } = parseMaster(await readFile(name(masterKey), 'utf8'));
  expect(variants.map(({ attributes }) => attributes.get('RESOLUTION'))).toEqual(['640x360', '1280x720']);
  for (const uri of new Set([...variants.map((one) => one.uri), ...media])) {
    const key = join(dirname(masterKey), uri);
    const path = name(key);
    // What a retry reads to see that a rendition is whole; written last.
    name(join(dirname(key), 'rendition.json'));
    for (const [, map, segment] of (await readFile(path, 'utf8')).matchAll(
      /^(?:#EXT-X-MAP:URI="([^"]+)"|([^#\s].*))/gm,
    ))
      name(join(dirname(key), map ?? segment ?? ''));
  }
  for (const { uri } of variants) {
    const path = join(root, dirname(masterKey), uri);
    expect((await segmentSeconds(path)).reduce((sum, one) => sum + one, 0)).toBeCloseTo(clipSeconds, 0);
    expect(await decode(path, 'v')).toMatchObject({ frames: clipSeconds * 30 });
  }
  expect(keys.toSorted()).toEqual([...named].toSorted());
  expect(await readdir(join(stage.folder, 'objects', 'partial'))).toEqual([]);
}
