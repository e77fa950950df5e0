/** Variables of the commands that ask a server, and the file all commands read variables from. */
import { z } from 'zod';
import { keyVariable } from '../producers/bearer.ts';
import { ConfigurationError, commonEnv } from '../runtime/env.ts';

export const remoteEnv = z.object({
  DATA_DIR: commonEnv.shape.DATA_DIR,
  JOBFLEET_KEY: keyVariable,
  JOBFLEET_URL: z
    .url({ protocol: /^https?$/, error: 'expected http:// or https://' })
    .optional()
    .describe(
      'The server that `jobfleet enqueue`, `jobs`, `queues` … ask. Default: the one `up` started with this DATA_DIR.',
    ),
});

/** `.env` of the current folder, when there is one. What the environment says already stays. */
export function loadEnvFile(): void {
  try {
    process.loadEnvFile();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    if (error.code !== 'ENOENT')
      throw new ConfigurationError(`.env cannot be read: ${error.message}`, { cause: error });
  }
}
