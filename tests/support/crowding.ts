import { cpus, loadavg } from 'node:os';

/** How often a processor is wanted at once, at least 1: a limit on time is multiplied with it, for everybody waits that much longer. */
export function crowding(): number {
  return Math.max(1, (loadavg()[0] ?? 1) / cpus().length);
}
