/** The end of a process whose claim loops stopped asking for good. */
import type { Shutdown } from '../runtime/shutdown.ts';
import type { Fleet } from '../workers/main.ts';

/** EX_SOFTWARE: whoever runs this process starts it anew. */
const exitCode = 70;

/** Drains as for a signal, then exits with 70. */
export function exitWhenStuck(
  fleet: Pick<Fleet, 'stuck'>,
  shutdown: Pick<Shutdown, 'begin'>,
  exit: (code: number) => void = (code) => process.exit(code),
): void {
  void fleet.stuck.then(async (reason) => {
    await shutdown.begin(reason);
    exit(exitCode);
  });
}
