/**
 * Log lines: JSON, one per event, masked. `queue, jobId, attempt, outcome, code, tenant, durationMs` are the field
 * names everywhere; payloads are never logged. Pretty only for a person: on a terminal, when pino-pretty is installed.
 */
import { createRequire } from 'node:module';
import pino, { type DestinationStream, type LevelWithSilent, type Logger } from 'pino';
import { mask, maskText } from './mask.ts';

export type Log = Logger;

export interface LogOptions {
  /** Default `info`. */
  readonly level?: LevelWithSilent;
  /** Which process: `api`, `worker`, `dashboard`, `up`. */
  readonly name: string;
  /** Default: standard output is a terminal. Without pino-pretty the lines stay JSON. */
  readonly pretty?: boolean;
  /** Where lines go; default standard output. Tests pass their own. */
  readonly destination?: DestinationStream;
}

/** Every field and every message passes the masker, errors with their stack and causes too. */
export function createLog(options: LogOptions): Log {
  const destination = options.destination ?? ((options.pretty ?? process.stdout.isTTY) ? prettyStream() : undefined);
  return pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      base: { name: options.name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: ['req.headers.authorization', 'req.headers.cookie'], censor: '[redacted]' },
      serializers: { err: (error: Error) => mask(error) },
      formatters: { level: (label) => ({ level: label }), bindings: maskedFields, log: maskedFields },
      hooks: {
        logMethod(values, method) {
          const [first, second, ...rest] = values;
          const message = typeof second === 'string' ? maskText(second) : (second ?? messageOf(first));
          method.apply(this, [maskIfText(first), message, ...rest.map(maskIfText)]);
        },
      },
    },
    destination ?? pino.destination({ dest: 1, sync: true }),
  );
}

/** pino takes the message of a lone error as it is; this one is masked first. */
function messageOf(first: unknown): string | undefined {
  const error = typeof first === 'object' && first !== null && 'err' in first ? first.err : first;
  return error instanceof Error ? maskText(error.message) : undefined;
}

function maskIfText(value: unknown): unknown {
  return typeof value === 'string' ? maskText(value) : value;
}

function maskedFields(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => {
      if (typeof value === 'number' || (key === 'err' && value instanceof Error)) return [key, value];
      // Through an object, so that the key's own name counts.
      const masked = mask({ [key]: value });
      return [key, typeof masked === 'object' && masked !== null ? Object.values(masked)[0] : masked];
    }),
  );
}

type StreamFactory = (options: object) => DestinationStream;

function isFactory(value: unknown): value is StreamFactory {
  return typeof value === 'function';
}

/** pino-pretty is a development dependency; without it a terminal sees JSON. */
function prettyStream(): DestinationStream | undefined {
  const require = createRequire(import.meta.url);
  let found: string;
  try {
    found = require.resolve('pino-pretty');
  } catch {
    return undefined;
  }
  const factory: unknown = require(found);
  return isFactory(factory)
    ? factory({ sync: true, colorize: true, ignore: 'pid,hostname,name', translateTime: 'HH:MM:ss' })
    : undefined;
}
