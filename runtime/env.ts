/**
 * Environment variables, parsed once per process by zod. Every `env.ts` exports one `z.object` whose fields carry
 * `.describe(…)`; docs.test.ts reads those texts. Nothing but composition roots reads `process.env`.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';

export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly code = 'CONFIGURATION';
}

export const encryptionKey = z.string().min(32, 'expected at least 32 characters').max(1_024);

/** What every composition root reads. `PORT` has a default of its own in each. */
export const commonEnv = z.object({
  QUEUE_URL: z
    .string()
    .default('embedded')
    .describe(
      'where jobs are kept: `embedded`, `embedded:<folder>`, `postgres://…`, `redis://…`, `redis+sentinel://…/<primary>`, `redis+cluster://…`; `rediss` for TLS',
    ),
  STORAGE_URL: z
    .string()
    .optional()
    .describe('where objects are kept: `file:<folder>` or `s3://bucket/prefix`; default `file:<DATA_DIR>/objects`'),
  UPLOAD_DAYS: z.coerce
    .number('expected a number of days')
    .min(1)
    .max(3_650)
    .default(30)
    .describe(
      'how long uploads, and long texts that document-ocr read, are kept after they were written; more than the longest wait of a job and the 14 days of a dead letter',
    ),
  MONGODB_URL: z
    .string()
    .optional()
    .describe(
      'where documents are kept: `mongodb://…/<database>`, database `jobfleet` when none is named; default: the PostgreSQL that keeps the queue. Needed with a queue on Redis by the job types that use documents',
    ),
  DATA_DIR: z
    .string()
    .default('.jobfleet')
    .describe('what this machine keeps on disk: embedded store, objects, keys, inbox'),
  HOST: z
    .string()
    .default('127.0.0.1')
    .describe(
      'address to listen on; 0.0.0.0 is every address of this machine, and `dashboard` wants DASHBOARD_USERS then',
    ),
  PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .optional()
    .describe('port to listen on; `up` and `api` 3000, `dashboard` 3001, `worker` 3002'),
  LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('least level that is logged'),
  ENCRYPTION_KEY: encryptionKey
    .optional()
    .describe(
      'encrypts the secret fields of payloads; at least 32 characters, the same in every process. Without it job types with secret fields are refused',
    ),
  ENCRYPTION_KEYS: z
    .string()
    .optional()
    .describe(
      'a ring of such keys, `id:key,id:key`: the first one encrypts, all of them open, ENCRYPTION_KEY too (its id is `default`)',
    ),
  QUEUE_BATCHING: z
    .enum(['on', 'off'])
    .default('on')
    .describe(
      '`off`: adds and completions each take a script call (Redis) or a statement and a commit (PostgreSQL) of their own, as BullMQ does it',
    ),
  SHUTDOWN_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(3_600_000)
    .default(25_000)
    .describe('how long running jobs may take to finish after SIGTERM before they are handed back'),
});

/** Where every process of one environment finds the store of jobs: the embedded one lies in DATA_DIR unless QUEUE_URL names another folder. */
export function storeUrl({ DATA_DIR, QUEUE_URL }: Pick<z.output<typeof commonEnv>, 'DATA_DIR' | 'QUEUE_URL'>): string {
  return QUEUE_URL === 'embedded' ? `embedded:${resolve(DATA_DIR, 'queue')}` : QUEUE_URL;
}

type Values = Readonly<Record<string, string | undefined>>;

/**
 * Reports every problem in one `ConfigurationError`. An empty string counts as not set. `NAME_FILE` names a file that
 * holds the value of `NAME` (secrets out of the environment); it is read once, here.
 */
export function parseEnv<S extends z.ZodObject>(schema: S, env: Values): z.output<S> {
  const values: Record<string, string> = {};
  const problems: string[] = [];
  for (const name of Object.keys(schema.shape)) {
    const value = env[name];
    const file = env[`${name}_FILE`];
    if (value !== undefined && value !== '') values[name] = value;
    else if (file !== undefined && file !== '') {
      try {
        values[name] = readFileSync(file, 'utf8').trimEnd();
      } catch (error) {
        problems.push(`${name}_FILE: cannot read ${file} (${error instanceof Error ? error.message : String(error)})`);
      }
    }
  }
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    for (const issue of parsed.error.issues)
      problems.push(`${issue.path.join('.') || 'environment'}: ${issue.message}`);
  }
  if (problems.length > 0 || !parsed.success) {
    throw new ConfigurationError(`The environment cannot be used:\n  ${problems.join('\n  ')}`);
  }
  return parsed.data;
}
