/** What a worker process says of itself each second: errors, memory, open files, how late its loop is. Both sides alike. */
import type { EventEmitter } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { logPaths, openLog, type Vitals, type VitalsLine } from './logs.ts';

const everyMs = 1_000;

export interface ErrorCount {
  /** Listens for `error`, beside whoever deals with it. One error that several emitters pass on counts once. */
  readonly watch: (emitter: EventEmitter) => void;
  readonly count: () => number;
}

export function countErrors(): ErrorCount {
  const seen = new WeakSet<Error>();
  let errors = 0;
  return {
    watch: (emitter) =>
      void emitter.on('error', (error: Error) => {
        if (seen.has(error)) return;
        seen.add(error);
        errors += 1;
      }),
    count: () => errors,
  };
}

type Own = Pick<Vitals, 'completed' | 'errors' | 'failed'>;

/** Until the process ends; what it returns writes the last word. */
export function startVitals(folder: string, own: () => Promise<Own>): () => Promise<void> {
  const note = openLog<VitalsLine>(logPaths(folder).vitals);
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const say = async (): Promise<void> => {
    const files = openFiles();
    note('vitals', '-', {
      ...(await own()),
      uptimeS: Math.round(process.uptime() * 10) / 10,
      rssMb: Math.round(process.memoryUsage.rss() / 1_048_576),
      fds: files.length,
      sockets: files.filter((target) => target.startsWith('socket:')).length,
      // The histogram holds whole periods: what is above the resolution is lateness.
      loopP99Ms: Math.max(0, Math.round(delay.percentile(99) / 1_000_000) - 10),
    });
  };
  setInterval(() => void say(), everyMs).unref();
  return say;
}

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // the folder itself, which was open while it was read
    }
  });
}
