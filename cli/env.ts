/** Variables of the composition roots of this folder, beside those of the parts they compose. */
import { z } from 'zod';

export const upEnv = z.object({
  NODE_ENV: z.string().optional().describe('`production` turns the development inbox and pretty logs off'),
});
