/** What the media benches share: the clips, made from the corpus, and a meter round every ffmpeg that either side starts. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const time = '/usr/bin/time';

function corpus(file: string): string {
  const path = resolve(process.env['TEST_DATA'] ?? '../shared/data', 'video', file);
  if (existsSync(path)) return path;
  throw new Error(`This bench needs ${file} of the video corpus; set TEST_DATA to the folder that holds video/`);
}

async function make(folder: string, name: string, args: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await run('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...args, path]);
  return path;
}

/** 1920×1080 at 30 a second with sound: a small film, looped, enlarged, with light grain (6 Mb/s). */
export function grainyClip(folder: string, seconds: number): Promise<string> {
  return make(folder, 'grainy.mp4', [
    '-stream_loop',
    '-1',
    '-i',
    corpus('rabbit320.mp4'),
    '-vf',
    'scale=1920:1080,noise=alls=4:allf=t,format=yuv420p',
    ...`-t ${seconds} -r 30 -c:v libx264 -preset veryfast -crf 21 -c:a aac`.split(' '),
  ]);
}

/** A corpus file, that many times in a row, copied. */
export function loopedClip(folder: string, file: string, times: number): Promise<string> {
  return make(folder, `looped-${file}`, ['-stream_loop', `${times - 1}`, '-i', corpus(file), '-c', 'copy']);
}

export interface Used {
  readonly wallSeconds: number;
  /** User and system time of everything that was started. */
  readonly cpuSeconds: number;
  /** The largest resident set of one of them. */
  readonly maxRssMb: number;
}

export interface Meter {
  /** To be started in ffmpeg's place. */
  readonly program: string;
  /** Runs `work` and answers what the programs it started used. */
  readonly of: (work: () => Promise<unknown>) => Promise<Used>;
}

/** A script that runs ffmpeg under `time` and notes what it used. */
export async function openMeter(folder: string): Promise<Meter> {
  if (!existsSync(time)) throw new Error(`This bench measures with ${time}; install it (apt install time)`);
  const program = join(folder, 'ffmpeg-metered');
  const notes = join(folder, 'used.txt');
  await writeFile(program, `#!/bin/sh\nexec ${time} -a -o ${notes} -f '%U %S %M' ffmpeg "$@"\n`);
  await chmod(program, 0o755);
  return {
    program,
    async of(work) {
      await writeFile(notes, '');
      const start = performance.now();
      await work();
      const wallSeconds = (performance.now() - start) / 1_000;
      const lines = (await readFile(notes, 'utf8')).split('\n').filter((line) => /^[\d.]+ [\d.]+ \d+$/.test(line));
      const used = lines.map((line) => line.split(' ').map(Number));
      return {
        wallSeconds,
        cpuSeconds: used.reduce((sum, [user = 0, system = 0]) => sum + user + system, 0),
        maxRssMb: Math.max(...used.map(([, , kb = 0]) => kb)) / 1_024,
      };
    },
  };
}
