import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobError } from '../errors.ts';
import { type Driver, ffmpegMissing, progressReader, type RunOptions, runFfmpeg } from './ffmpeg.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-ffmpeg-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A program in ffmpeg's place; it also answers what fluent-ffmpeg asks before a run. */
async function program(name: string, body: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(
    path,
    `#!/bin/sh\ncase "$*" in *-encoders) exit 0;; *-formats) echo '  E null  raw'; exit 0;; esac\necho $$ > ${path}.pid\n${body}\n`,
  );
  await chmod(path, 0o755);
  return path;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function run(path: string, changes: Partial<RunOptions> = {}): Promise<JobError | undefined> {
  const command = { before: ['-t', '1'], input: '/in', after: ['-f', 'null'], output: '/out' };
  const options = { driver: 'spawn', signal: new AbortController().signal, limitSeconds: 10, ...changes } as const;
  return runFfmpeg(command, { program: path, killAfterMs: 100, ...options }).then(
    () => undefined,
    (error: JobError) => error,
  );
}

describe.each<Driver>(['spawn', 'fluent'])('runFfmpeg with the %s driver', (driver) => {
  it('passes every argument whole and reports progress', async () => {
    const path = await program(
      `args-${driver}`,
      `printf '%s\\n' "$@" > ${folder}/args-${driver}.txt\nprintf 'frame=3\\nout_time_us=1500000\\nprogress=end\\n'`,
    );
    const positions: unknown[] = [];
    expect(await run(path, { driver, onProgress: (position) => positions.push(position) })).toBeUndefined();
    expect(positions).toEqual([{ seconds: 1.5, frames: 3 }]);
    const args = (await readFile(join(folder, `args-${driver}.txt`), 'utf8')).trim().split('\n');
    expect(args.slice(0, 6)).toEqual(['-nostdin', '-hide_banner', '-v', 'error', '-progress', 'pipe:1']);
    expect(args.filter((one) => one !== '-y').slice(6)).toEqual(['-t', '1', '-i', 'file:/in', '-f', 'null', '/out']);
  });

  it('says what the program said', async () => {
    const path = await program(`says-${driver}`, 'echo "moov atom not found" >&2; exit 1');
    expect((await run(path, { driver }))?.code).toBe('BAD_SOURCE');
  });

  it('stops a program that never stops complaining, and keeps little of it', async () => {
    const path = await program(`flood-${driver}`, "exec yes 'deprecated pixel format used' >&2");
    const error = await run(path, { driver });
    expect(error?.code).toBe('BAD_SOURCE');
    expect(error?.message).toContain('8 MB');
  });

  it('kills a program that ignores SIGTERM, at the time limit and on abort', async () => {
    const path = await program(
      `deaf-${driver}`,
      "trap '' TERM; printf 'frame=1\\nprogress=continue\\n'; while :; do :; done",
    );
    const late = await run(path, { driver, limitSeconds: 0.3 });
    expect(late).toMatchObject({ code: 'LIMIT_EXCEEDED', verdict: { kind: 'retry' } });
    expect(isAlive(Number(await readFile(`${path}.pid`, 'utf8')))).toBe(false);
    const stop = new AbortController();
    const reason = new Error('CANCELLED');
    const stopped = await run(path, { driver, signal: stop.signal, onProgress: () => stop.abort(reason) });
    expect(stopped).toBe(reason);
    expect(isAlive(Number(await readFile(`${path}.pid`, 'utf8')))).toBe(false);
  });

  it('starts nothing once it is aborted', async () => {
    const path = await program(`never-${driver}`, 'exit 0');
    const reason = new Error('CANCELLED');
    expect(await run(path, { driver, signal: AbortSignal.abort(reason) })).toBe(reason);
    await expect(readFile(`${path}.pid`)).rejects.toThrow('ENOENT');
  });

  it('retries a run that a signal ended', async () => {
    const path = await program(`shot-${driver}`, 'kill -KILL $$');
    expect((await run(path, { driver }))?.message).toContain('SIGKILL');
  });
});

describe('progressReader', () => {
  it('joins pieces, reports only movement and never goes back', () => {
    const seen: unknown[] = [];
    const read = progressReader((position) => seen.push(position));
    read('frame=1\nout_time_us=50');
    read('0000\nprogress=continue\nframe=1\nout_time_us=N/A\nprogress=continue\n');
    read('out_time_us=400000\nprogress=continue\nframe=9\nprogress=end\n');
    read('x'.repeat(100_000));
    expect(seen).toEqual([
      { seconds: 0.5, frames: 1 },
      { seconds: 0.5, frames: 9 },
    ]);
  });
});

describe('ffmpegMissing', () => {
  const answers = (version: string, encoders: string): string =>
    `case "$*" in *-version*) echo "${version}";; *) printf '${encoders}';; esac`;
  const both = ' V....D libx264 x\\n A..... aac y\\n';

  it('names the program that is not there and how to get it', async () => {
    const said = await ffmpegMissing({ ffmpeg: join(folder, 'absent'), ffprobe: 'ffprobe' });
    expect(said).toMatch(/^ffmpeg is not on the PATH: .*apt install ffmpeg.*brew install ffmpeg/);
  });

  it('refuses an old one and one without the encoders, and takes a snapshot for new', async () => {
    // These answer `-encoders` themselves, so they are written without the usual head.
    const make = async (name: string, body: string): Promise<string> => {
      const path = join(folder, name);
      await writeFile(path, `#!/bin/sh\n${body}\n`);
      await chmod(path, 0o755);
      return path;
    };
    const fine = await make('fine', answers('ffmpeg version n7.1-static', both));
    const old = await make('old', answers('ffmpeg version 4.4.2-0ubuntu0', both));
    const bare = await make('bare', answers('ffmpeg version N-112-gabc', ' A..... aac y\\n'));
    expect(await ffmpegMissing({ ffmpeg: fine, ffprobe: fine })).toBeUndefined();
    expect(await ffmpegMissing({ ffmpeg: fine, ffprobe: old })).toMatch(/^ffprobe 4\.4 is too old, 5\.1 or newer/);
    expect(await ffmpegMissing({ ffmpeg: bare, ffprobe: bare })).toMatch(/built without libx264:/);
  });
});
