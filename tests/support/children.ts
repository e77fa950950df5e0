/** What the tests of the killable child see from outside: read with their own eyes, not through the code under test. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Services } from '../../workers/context.ts';
import { attemptDocuments } from '../../workers/services/documents.ts';

/** Pids of living processes that carry the marker of a child's folder. */
export function processesOf(folder: string): number[] {
  return processesMarked((marker) => marker.endsWith(`-${basename(folder)}`));
}

/** Pids of living processes that are, or come from, children of this worker process. */
export function childrenOf(workerPid: number): number[] {
  return processesMarked((marker) => marker.startsWith(`${workerPid}-`));
}

function processesMarked(isWanted: (marker: string) => boolean): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const environment = readFileSync(`/proc/${name}/environ`, 'latin1').split('\0');
      const marker = environment.find((it) => it.startsWith('JOBFLEET_CHILD='));
      if (marker !== undefined && isWanted(marker.slice('JOBFLEET_CHILD='.length))) found.push(Number(name));
    } catch {
      // Gone meanwhile, or another user's.
    }
  }
  return found;
}

/** Sends a signal to each. One that ended meanwhile, perhaps because of the others' end, has had its due. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals = 'SIGKILL'): void {
  for (const pid of pids) {
    // 0 would be everybody here, the test included.
    if (pid <= 0) throw new Error(`expected the number of a process, got ${pid}`);
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}

export interface Recorded {
  readonly services: (folder: string) => Services;
  /** The child's folder, once the job has started. */
  readonly folder: () => string;
  /** When the job was handed to its child. */
  readonly startedAt: () => number;
  readonly heard: unknown[];
  /** Resolves with the first progress message. */
  readonly progressed: Promise<void>;
}

/** Services of an attempt that remember what they were asked; each can be replaced. */
export function recordServices(own: Partial<Services> = {}): Recorded {
  const heard: unknown[] = [];
  let folder = '';
  let startedAt = 0;
  let resolve: () => void = () => undefined;
  const progressed = new Promise<void>((done) => (resolve = done));
  return {
    heard,
    progressed,
    folder: () => folder,
    startedAt: () => startedAt,
    services: (path) => {
      folder = path;
      startedAt = performance.now();
      return {
        progress: (percent, note) => {
          heard.push(['progress', percent, note]);
          resolve();
        },
        log: (level, message, facts) => void heard.push(['log', level, message, facts]),
        onceBegin: async (key, whenUnknown) => {
          heard.push(['onceBegin', key, whenUnknown]);
          return { state: 'run' };
        },
        onceEnd: async (key, result) => void heard.push(['onceEnd', key, result]),
        onceForget: async (key) => void heard.push(['onceForget', key]),
        dependencyBegin: async (name) => heard.push(['dependencyBegin', name]),
        dependencyEnd: async (call, outcome) => void heard.push(['dependencyEnd', call, outcome]),
        http: async (request) => {
          heard.push(['http', request]);
          return { status: 200, headers: {}, body: Buffer.from(request.body ?? ''), url: request.url, retryAfterMs: 7 };
        },
        enqueue: async (type, payload, options) => {
          heard.push(['enqueue', type, payload, options]);
          return { id: `${type}_1`, type, queue: type, status: 'waiting', duplicate: false, createdAt: '2026-01-01' };
        },
        objectFetch: async (input) => ({ path: input, sizeBytes: 0, sha256: '' }),
        objectPut: async (key, path, contentType) => {
          heard.push(['objectPut', key, readFileSync(path, 'utf8'), contentType]);
          return { object: `object:${key}`, sizeBytes: 1 };
        },
        children: async () => [
          { id: 'x_1', type: 'x', state: 'completed', result: { n: 1 } },
          { id: 'x_2', type: 'x', state: 'failed', code: 'BAD_SOURCE' },
        ],
        objectHead: async (key) => {
          heard.push(['objectHead', key]);
          return undefined;
        },
        objectLink: async () => undefined,
        documents: attemptDocuments(undefined, '-'),
        ...own,
      };
    },
  };
}
