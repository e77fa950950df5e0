/** How loud a worker was: what an operator would have to read, and what it cost. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from './checker.ts';
import type { VitalsLine } from './logs.ts';

const errorsAllowedPerS = 10;
const logAllowedMbPerMin = 1;
/** A worker of a second or two says little about a rate. */
const leastSeconds = 5;

export interface Noise {
  /** Error events of all workers, repetitions included. */
  readonly errors: number;
  /** Of the loudest worker, over its life. */
  readonly errorsPerS: number;
  /** Lines at `warn` and above of the loudest worker, over its life. */
  readonly logMbPerMin: number;
}

export interface LogLine {
  /** Epoch ms; undefined in a line without a time. */
  readonly t: number | undefined;
  readonly text: string;
}

const isLoud = /"level":"(?:warn|error|fatal)"/;

/** Lines at `warn` and above of every worker, in no order. */
export function loudLines(folder: string): LogLine[] {
  return workerLogs(folder).flatMap((lines) =>
    lines.map((text) => {
      const time = /"time":"([^"]+)"/.exec(text)?.[1];
      return { t: time === undefined ? undefined : Date.parse(time), text };
    }),
  );
}

function workerLogs(folder: string): string[][] {
  return readdirSync(folder)
    .filter((file) => /^worker-.*\.log$/.test(file))
    .map((file) =>
      readFileSync(join(folder, file), 'utf8')
        .split('\n')
        .filter((line) => isLoud.test(line)),
    );
}

export function measureNoise(folder: string, vitals: readonly VitalsLine[], seconds: number): Noise {
  const last = [...new Map(vitals.map((line) => [line.actor, line])).values()];
  const bytes = workerLogs(folder).map((lines) => lines.reduce((sum, line) => sum + line.length + 1, 0));
  const mb = Math.max(0, ...bytes) / 1_048_576;
  const rate = (line: VitalsLine) => line.errors / Math.max(leastSeconds, line.uptimeS);
  return {
    errors: last.reduce((sum, line) => sum + line.errors, 0),
    errorsPerS: Math.round(Math.max(0, ...last.map(rate)) * 10) / 10,
    logMbPerMin: Math.round((mb / (Math.max(leastSeconds, seconds) / 60)) * 100) / 100,
  };
}

export function judgeNoise({ errorsPerS, logMbPerMin }: Noise): Finding[] {
  const loud = (detail: string): Finding => ({ kind: 'noise', id: 'a worker', detail });
  return [
    ...(errorsPerS > errorsAllowedPerS ? [loud(`${errorsPerS} errors a second, at most ${errorsAllowedPerS}`)] : []),
    ...(logMbPerMin > logAllowedMbPerMin
      ? [loud(`${logMbPerMin} MB of log a minute, at most ${logAllowedMbPerMin}`)]
      : []),
  ];
}
