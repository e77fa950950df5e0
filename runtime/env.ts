/**
 * Environment variables, parsed once per process by zod. Every `env.ts` exports one `z.object` whose fields carry
 * `.describe(…)`; docs.test.ts reads those texts. Nothing but composition roots reads `process.env`.
 */
import { readFileSync } from 'node:fs';
import type { z } from 'zod';

export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly code = 'CONFIGURATION';
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
