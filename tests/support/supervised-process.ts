/**
 * `jobfleet worker --processes` over the test jobs: a supervisor, and with `--supervised` one of its worker processes.
 * MISBEHAVE says what its processes do wrong: `die` (at once, each), or `grow` (once, the one that makes the file GROWN).
 */
import { writeFile } from 'node:fs/promises';
import { reportToSupervisor } from '../../cli/supervised.ts';
import { superviseWorkers } from '../../cli/supervisor.ts';

const { MISBEHAVE, GROWN = '', PROCESSES = '2', MAX_MEMORY } = process.env;
const ballast: Buffer[] = [];

if (!process.argv.includes('--supervised'))
  await superviseWorkers({ processes: PROCESSES, ...(MAX_MEMORY === undefined ? {} : { maxMemory: MAX_MEMORY }) });
else if (MISBEHAVE === 'die') process.exit(70);
else {
  const { fleet, metrics, shutdown } = await import('./fleet-process.ts');
  const ready = async () => (shutdown.draining() ? 'shutting down' : fleet.ready());
  reportToSupervisor({ fleet, ready, metrics, shutdown, graceMs: 5_000 });
  if (MISBEHAVE === 'grow' && (await isFirst())) ballast.push(Buffer.alloc(600 * 1_048_576, 1));
}

async function isFirst(): Promise<boolean> {
  return writeFile(GROWN, '', { flag: 'wx' }).then(
    () => true,
    () => false,
  );
}
