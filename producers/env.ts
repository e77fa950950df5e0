/** Variables of a process that serves the HTTP API, beside those every process has. */
import { z } from 'zod';
import { keyVariable } from './bearer.ts';
import { hookSources } from './hooks.ts';
import { rateVariable } from './key-rates.ts';

const whole = (min: number, max: number) =>
  z.coerce.number(`expected a whole number from ${min} to ${max}`).int().min(min).max(max);

const hooksVariable = z.string().transform((text, ctx) => {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's own words would repeat secrets.
    ctx.addIssue({
      code: 'custom',
      message: 'expected a JSON object: {"source": {"scheme": …, "secrets": […], "type": …}}',
    });
    return z.NEVER;
  }
  const sources = hookSources.safeParse(json);
  if (sources.success) return sources.data;
  for (const { path, message } of sources.error.issues)
    ctx.addIssue({ code: 'custom', message: `${path.join('.')}: ${message}` });
  return z.NEVER;
});

export const apiEnv = z.object({
  BATCH_RATE_LIMIT: rateVariable
    .default('bulk')
    .describe(
      'Calls of POST /v1/jobs/batch with one API key: none, <points>/<seconds>, or a preset (bulk: 10 an hour). Keys with the scope admin are free.',
    ),
  EVENT_STREAMS: whole(1, 5_000)
    .default(100)
    .describe('Streams of GET /v1/jobs/{id}/events that one API key may have open in one process.'),
  HOOKS: hooksVariable
    .optional()
    .describe(
      'Webhooks of others that become jobs at POST /v1/hooks/{source}: JSON, see docs/operations.md (or HOOKS_FILE). Default: none.',
    ),
  HTTP_RATE_LIMIT: whole(0, 10_000_000)
    .default(6_000)
    .describe('Requests a minute from one address, before the login; 0 = no limit.'),
  JOBFLEET_KEY: keyVariable,
  KEY_RATE_LIMIT: rateVariable
    .default('none')
    .describe(
      'Calls of POST /v1/jobs with one API key: none, <points>/<seconds>, or a preset (api, auth, bulk, expensive, premium, read, write). Keys with the scope admin are free.',
    ),
  PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'expected http:// or https://' })
    .optional()
    .describe('Where callers reach the API, for links in answers. Default: as each request says.'),
  REQUIRE_IDEMPOTENCY_KEY: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true')
    .describe('`true`: POST /v1/jobs without an Idempotency-Key is refused.'),
  SIGNING_KEY: z
    .string()
    .min(32, 'expected at least 32 characters')
    .optional()
    .describe('Signs links to objects; the same in every process. Default: a key kept in DATA_DIR.'),
  UPLOAD_MAX_BYTES: whole(1, 5_368_709_120).default(5_368_709_120).describe('Largest upload, at most 5 GiB.'),
});
export type ApiEnv = z.output<typeof apiEnv>;
