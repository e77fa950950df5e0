/** One worker process of a run, of either side. Says `ready` over its channel; SIGTERM drains it. */
import { openSide, readSettings } from './side.ts';
import { startVitals } from './vitals.ts';

const settings = readSettings();
const side = await openSide(settings);
const worker = await side.startWorker();
const sayVitals = startVitals(settings.folder, () => worker.counters());
let isStopping = false;
process.on('SIGTERM', () => {
  if (isStopping) process.exit(143);
  isStopping = true;
  const stopping = worker.stop().then(sayVitals);
  stopping.then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`{"level":"error","msg":${JSON.stringify(String(error))}}\n`);
      process.exit(1);
    },
  );
});
// The platform: a process that says it is not live is ended and replaced.
setInterval(() => {
  const reason = worker.live();
  if (reason === undefined || isStopping) return;
  process.stderr.write(`{"level":"warn","msg":${JSON.stringify(`not live: ${reason}`)}}\n`);
  process.exit(3);
}, 1_000).unref();
process.on('message', (message: { readonly declare: number } | 'vitals') => {
  const doing = message === 'vitals' ? sayVitals() : worker.declare(message.declare);
  doing.then(
    () => process.send?.({ done: true }),
    (error: unknown) => process.send?.({ problem: String(error) }),
  );
});
// The runner is gone: nobody else would end this process.
process.on('disconnect', () => process.exit(1));
process.send?.({ ready: true });
