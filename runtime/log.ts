/**
 * Log lines: JSON, one per event, masked. `queue, jobId, attempt, outcome, code, tenant, durationMs` are the field
 * names everywhere; payloads are never logged. Pretty only for a person: on a terminal, when pino-pretty is installed.
 */
import { createRequire } from 'node:module';
import pino, {
  type Bindings,
  type ChildLoggerOptions,
  type DestinationStream,
  type LevelWithSilent,
  type Logger,
} from 'pino';
import { mask, maskField, maskText } from './mask.ts';

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
  const log = pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      base: { name: options.name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: (error: Error) => mask(error), req: requestFacts, res: responseFacts },
      formatters: { level: (label) => ({ level: label }), log: maskedFields },
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
  // pino masks no binding of a child: it turns that formatter off below the root.
  const makeChild: unknown = Reflect.get(log, 'child');
  return Object.assign(log, {
    child(this: Log, bindings: Bindings, childOptions?: ChildLoggerOptions): Log {
      if (typeof makeChild !== 'function') throw new TypeError('expected a pino logger with child()');
      return Reflect.apply(makeChild, this, [maskedFields(bindings), childOptions]);
    },
  });
}

/** What the HTTP layer may log of a request: never a header, a query or a body. */
function requestFacts(request: unknown): Record<string, unknown> {
  const { id, method, url } = fieldsOf(request);
  return { id, method, path: typeof url === 'string' ? maskText(url.split('?', 1)[0] ?? '') : undefined };
}

function responseFacts(response: unknown): Record<string, unknown> {
  return { statusCode: fieldsOf(response)['statusCode'] };
}

function fieldsOf(value: unknown): { readonly [field: string]: unknown } {
  return typeof value === 'object' && value !== null ? Object(value) : {};
}

/** pino takes the message of a lone error as it is; this one is masked first. */
function messageOf(first: unknown): string | undefined {
  const error = typeof first === 'object' && first !== null && 'err' in first ? first.err : first;
  return error instanceof Error ? maskText(error.message) : undefined;
}

function maskIfText(value: unknown): unknown {
  return typeof value === 'string' ? maskText(value) : value;
}

/** These reach their serializer as they are. */
const serialized: ReadonlySet<string> = new Set(['err', 'req', 'res']);

function maskedFields(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, serialized.has(name) ? value : maskField(name, value)]),
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
