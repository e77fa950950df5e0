/** Variables of a worker process. What handlers need stands beside their code. */
import { z } from 'zod';

const whole = (min: number, max: number) =>
  z.coerce.number(`expected a whole number from ${min} to ${max}`).int().min(min).max(max);

const names = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  )
  .optional();

export const workersEnv = z.object({
  QUEUES: names.describe('Job types this process runs, separated by commas (names or aliases). Default: all.'),
  CONCURRENCY: whole(1, 10_000)
    .optional()
    .describe('Attempts of each job type at the same time in this process. Default: what the type declares.'),
  SHUTDOWN_MS: whole(100, 3_600_000)
    .default(25_000)
    .describe(
      'How long a shutdown may take. At 80 % of it running jobs are told to stop, then handed back. The platform must wait 10 s longer before it kills.',
    ),
  LEASE_MS: whole(1_000, 3_600_000)
    .optional()
    .describe(
      'How long a claim holds unless renewed: a crashed worker’s jobs wait that long. Default: 30000; on the embedded store 5000.',
    ),
  LOG_SUCCESS_SAMPLE: z.coerce
    .number('expected a number from 0 to 1')
    .min(0)
    .max(1)
    .default(0)
    .describe('Share of the successful attempts above 200 a second that get a log line, 0 to 1. Failures always do.'),
  HTTP_ALLOW: names.describe(
    'Hosts that jobs may reach although they are private or on another port than 80 and 443: host:port pairs, separated by commas. Default: none.',
  ),
  INPUT_BUCKETS: names.describe(
    'Buckets that payloads may name as s3://bucket/key, separated by commas. Default: none.',
  ),
  WORK_DIR: z
    .string()
    .optional()
    .describe(
      'Where folders of running attempts are made. Default: the temporary folder of the system. A worker of root gives children ids of their own: others must be able to pass through it.',
    ),
});
export type WorkersEnv = z.output<typeof workersEnv>;
