/** Variables of the dashboard, beside those every process has (runtime/env.ts). */
import { z } from 'zod';
import { parseUsers } from './users.ts';

export const dashboardEnv = z.object({
  DASHBOARD_USERS: z
    .string()
    .transform((text, context) => {
      try {
        return parseUsers(text);
      } catch (error) {
        context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
        return z.NEVER;
      }
    })
    .optional()
    .describe(
      'Who may log in: `name:role:password`, several separated by commas; roles viewer, operator, admin. Needed by `dashboard` to listen beyond this machine. Default: one admin, whose password `up` keeps in DATA_DIR and `dashboard` makes at each start.',
    ),
  SESSION_SECRET: z
    .string()
    .min(32, 'expected at least 32 characters')
    .optional()
    .describe(
      'Signs the login cookie; the same in all dashboard processes. Default: `up` signs with SIGNING_KEY; `dashboard` makes one at each start, so that a restart logs everybody out.',
    ),
});
export type DashboardEnv = z.output<typeof dashboardEnv>;
