/**
 * The words of the `jobfleet` command and nothing else: every command imports its own module when it is called, so that
 * `--help` loads commander and nothing else.
 */
import { Command, Option } from 'commander';
import { CliError } from './output.ts';
import { version } from './version.ts';

const bottom = (text: string): string => `\nExamples:\n${text}`;

/** Options of every command that speaks to a server. */
function remote(command: Command): Command {
  return withJson(command)
    .option('--url <url>', 'the server (default: JOBFLEET_URL, then the one started on this machine)')
    .option('--key <key>', 'API key (default: JOBFLEET_KEY, then the local one)');
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Every command takes it. */
function withJson(command: Command): Command {
  return command.option('--json', 'one JSON document on standard output');
}

interface JsonFlag {
  readonly json?: boolean;
}

interface WorkerCommandFlags extends JsonFlag {
  readonly queues?: string;
  readonly concurrency?: string;
  readonly processes?: string;
  readonly maxMemory?: string;
  readonly supervised?: boolean;
}

function roots(program: Command): void {
  withJson(program.command('up'))
    .description('API, workers and dashboard in one process on one port; needs no server')
    .option('--watch', 'in a clone: compile and restart when jobs/ changes')
    .addHelpText('after', bottom('  jobfleet up\n  PORT=8080 QUEUE_URL=redis://localhost:6379 jobfleet up'))
    .action(async (flags: JsonFlag & { readonly watch?: boolean }) => {
      if (flags.watch === true) {
        process.exitCode = await (await import('./watch.ts')).runWatched(flags.json === true ? ['--json'] : []);
        return;
      }
      await (await import('./up.ts')).up(flags);
    });
  withJson(program.command('api'))
    .description('the HTTP API alone (PORT, default 3000)')
    .action(async (flags: JsonFlag) => (await import('./roots.ts')).runApi(flags));
  withJson(program.command('worker'))
    .description('a worker alone; joins the store of QUEUE_URL (health and metrics on PORT, default 3002)')
    .option('--queues <names>', 'comma-separated job types (default: QUEUES, then all)')
    .option('--concurrency <n>', 'attempts at once per job type (default: the policy of each)')
    .option('--processes <n>', 'so many worker processes under a supervisor that restarts them')
    .option('--max-memory <MB>', 'with --processes: replace a process that has grown larger')
    .addOption(new Option('--supervised').hideHelp())
    .addHelpText(
      'after',
      bottom(
        '  jobfleet worker --queues video-transcoding --concurrency 2\n  jobfleet worker --processes 4 --max-memory 800',
      ),
    )
    .action(async (flags: WorkerCommandFlags) => {
      const { processes, maxMemory, ...rest } = flags;
      if (processes !== undefined) return (await import('./supervisor.ts')).superviseWorkers({ ...flags, processes });
      if (maxMemory !== undefined) throw new CliError('--max-memory needs --processes.', 2);
      return (await import('./roots.ts')).runWorker(rest);
    });
  withJson(program.command('dashboard'))
    .description('the dashboard alone (PORT, default 3001)')
    .action(async (flags: JsonFlag) => (await import('./roots.ts')).runDashboard(flags));
}

function jobCommands(program: Command): void {
  remote(program.command('enqueue <type>'))
    .description('add a job; --file uploads its input, --wait follows it to its end')
    .option('--payload <json>', 'the payload as a JSON object')
    .option('--file <path>', 'upload this file and put it into the payload')
    .option('--idempotency-key <key>', 'the same key names the same job for 24 hours')
    .option('--delay <ms>', 'not before this many milliseconds')
    .option('--attempts <n>', '1 to 100')
    .option('--level <level>', 'high, normal or low')
    .option('--wait', 'show progress and exit with the outcome')
    .addHelpText(
      'after',
      bottom(
        `  jobfleet enqueue image-processing --file photo.jpg --wait\n  jobfleet enqueue email-sending --payload '{"to":"ada@example.com","template":"welcome"}'`,
      ),
    )
    .action(async (type: string, flags: object) => (await import('./enqueue.ts')).enqueue(type, flags));
  const jobs = program.command('jobs').description('look for jobs, edit and cancel them');
  remote(jobs.command('list', { isDefault: true }))
    .description('newest first')
    .option('--queue <name>', 'one job type')
    .option('--status <state>', 'waiting, delayed, active, completed, failed')
    .option('--tenant <name>', 'on whose behalf')
    .option('--code <code>', 'of the last failure')
    .option('--text <text>', 'part of the payload, the id or the last failure')
    .option('--from <time>', 'accepted at or after; RFC 3339')
    .option('--to <time>', 'accepted at or before')
    .option('--limit <n>', '1 to 100 (default 20)')
    .option('--cursor <cursor>', 'go on where the last page ended')
    .action(async (flags: object) => (await import('./jobs.ts')).listJobs(flags));
  remote(jobs.command('show <id>'))
    .description('one job with its result, error and links')
    .action(async (id: string, flags: object) => (await import('./jobs.ts')).showJob(id, flags));
  remote(jobs.command('watch <id>'))
    .description('follow a job to its end, and exit with its outcome')
    .action(async (id: string, flags: object) => (await import('./enqueue.ts')).watchJob(id, flags));
  remote(jobs.command('edit <id>'))
    .description('change a job that waits')
    .option('--patch <json>', 'JSON Merge Patch for its payload')
    .option('--payload <json>', 'its whole payload')
    .option('--delay <seconds>', 'start so long from now; 0: at once')
    .option('--level <level>', 'high, normal or low')
    .action(async (id: string, flags: object) => (await import('./jobs.ts')).editJob(id, flags));
  remote(jobs.command('cancel <id>'))
    .description('cancel a queued or running job')
    .action(async (id: string, flags: object) => (await import('./jobs.ts')).cancelJob(id, flags));
}

function queueCommands(program: Command): void {
  const queues = program.command('queues').description('how much waits; pause and resume queues and tenants');
  remote(queues.command('list', { isDefault: true }))
    .description('how many jobs are in which state, and what is paused by whom')
    .action(async (flags: object) => (await import('./queues.ts')).listQueues(flags));
  remote(queues.command('pause [queue]'))
    .description('start no job of it until it is resumed, also after a deploy')
    .requiredOption('--reason <text>', 'why, for whoever looks next')
    .option('--by <name>', 'who wants it (default: the user of this shell)')
    .option('--for <time>', 'it ends by itself after 90s, 10m, 2h, 7d')
    .option('--until <time>', 'it ends by itself at this RFC 3339 time')
    .option('--tenant <name>', 'a tenant instead of a queue')
    .option('--all', 'every queue')
    .addHelpText('after', bottom('  jobfleet queues pause email-sending --reason "provider down" --for 30m'))
    .action(async (queue: string | undefined, flags: { readonly reason: string }) =>
      (await import('./queues.ts')).pauseQueue(queue, flags),
    );
  remote(queues.command('resume [queue]'))
    .description('let its jobs run again')
    .option('--tenant <name>', 'a tenant instead of a queue')
    .option('--all', 'every queue, whoever paused it')
    .action(async (queue: string | undefined, flags: object) =>
      (await import('./queues.ts')).resumeQueue(queue, flags),
    );
}

function tenantCommands(program: Command): void {
  const tenants = program.command('tenants').description('what is agreed with a tenant');
  remote(tenants.command('show <id>'))
    .description('its weight, tier and limits')
    .action(async (id: string, flags: object) => (await import('./tenants.ts')).showTenant(id, flags));
  remote(tenants.command('set <id>'))
    .description('change what is named, leave the rest')
    .option('--weight <n>', 'share of fair queues in relation to others, 1 to 1,000')
    .option('--tier <tier>', 'standard, or premium: ten times the rates')
    .option('--concurrency <n>', 'attempts at once where a type limits tenants; "default" takes it back')
    .action(async (id: string, flags: object) => (await import('./tenants.ts')).setTenant(id, flags));
  const keys = program.command('keys').description('make and revoke API keys');
  remote(keys.command('create'))
    .description('prints the key; it cannot be shown again')
    .option('--tenant <id>', 'on whose behalf it speaks (default: nobody)')
    .option('--scopes <names>', 'jobs, scaling, operator, admin; comma-separated (default: jobs)')
    .option('--tier <tier>', 'standard, or premium: ten times the rates (default: that of the tenant)')
    .option('--expires <time>', 'RFC 3339 (default: never)')
    .addHelpText('after', bottom('  jobfleet keys create --tenant acme\n  jobfleet keys create --scopes scaling'))
    .action(async (flags: object) => (await import('./tenants.ts')).createKey(flags));
  remote(keys.command('revoke <id>'))
    .description('every process refuses it within five seconds')
    .action(async (id: string, flags: object) => (await import('./tenants.ts')).revokeKey(id, flags));
}

function workerCommands(program: Command): void {
  const workers = program.command('workers').description('which processes run jobs, and how many at once');
  remote(workers.command('list', { isDefault: true }))
    .description('what each runs, how fast, and why it claims nothing')
    .action(async (flags: object) => (await import('./workers.ts')).listWorkers(flags));
  remote(workers.command('tune <queue> <count>'))
    .description('how many attempts of a queue each worker runs at once; "default" takes it back')
    .option('--by <name>', 'who wants it (default: the user of this shell)')
    .action(async (queue: string, count: string, flags: object) =>
      (await import('./workers.ts')).tuneWorkers(queue, count, flags),
    );
}

function selecting(command: Command): Command {
  return remote(command)
    .option('--tenant <name>', 'only those on whose behalf')
    .option('--code <code>', 'only this error code')
    .option('--signature <text>', 'only this group')
    .option('--from <time>', 'failed at or after; RFC 3339')
    .option('--to <time>', 'failed at or before');
}

function changing(command: Command): Command {
  return selecting(command)
    .option('--id <id>', 'only this job (may be repeated)', collect)
    .option('--all', 'every dead letter of every queue')
    .option('--dry-run', 'only say how many it would be')
    .option('--yes', 'do not ask');
}

function deadLetterCommands(program: Command): void {
  const letters = program.command('dead-letters').description('jobs that failed for good: group, redrive, discard');
  selecting(letters.command('list [queue]', { isDefault: true }))
    .description('grouped by error; --each lists single jobs')
    .option('--each', 'one line a job')
    .option('--cursor <cursor>', 'go on where the last page ended')
    .action(async (queue: string | undefined, flags: object) =>
      (await import('./dead-letters.ts')).listDeadLetters(queue, flags),
    );
  remote(letters.command('show <id>'))
    .description('one with what is known of how it came to be: interruptions, effects, earlier runs')
    .option('--queue <name>', 'for an id that does not begin with its type')
    .action(async (id: string, flags: object) => (await import('./dead-letters.ts')).showDeadLetter(id, flags));
  changing(letters.command('redrive [queue]'))
    .description('back to work, same id, attempts counted anew')
    .addHelpText(
      'after',
      bottom(
        '  jobfleet dead-letters redrive email-sending --dry-run\n  jobfleet dead-letters redrive email-sending --yes',
      ),
    )
    .action(async (queue: string | undefined, flags: object) =>
      (await import('./dead-letters.ts')).redrive(queue, flags),
    );
  changing(letters.command('discard [queue]'))
    .description('remove for good')
    .action(async (queue: string | undefined, flags: object) =>
      (await import('./dead-letters.ts')).discard(queue, flags),
    );
}

function reviewCommands(program: Command): void {
  const reviews = program.command('reviews').description('results that a person has to look at');
  remote(reviews.command('list', { isDefault: true }))
    .description('open ones, the oldest first')
    .option('--queue <name>', 'one job type')
    .option('--tenant <name>', 'on whose behalf')
    .option('--limit <n>', '1 to 100 (default 20)')
    .option('--cursor <cursor>', 'go on where the last page ended')
    .action(async (flags: object) => (await import('./reviews.ts')).listReviews(flags));
  remote(reviews.command('show <id>'))
    .description('what was found, why it is doubtful, and links to the pictures')
    .action(async (id: string, flags: object) => (await import('./reviews.ts')).showReview(id, flags));
  remote(reviews.command('approve <id>'))
    .description('it is right as it is')
    .option('--by <name>', 'who decides (default: the user of this shell)')
    .action(async (id: string, flags: object) => (await import('./reviews.ts')).approveReview(id, flags));
  remote(reviews.command('edit <id>'))
    .description('correct what is wrong')
    .requiredOption('--data <json>', 'the fields to correct, as a JSON Merge Patch; null removes one')
    .option('--by <name>', 'who decides (default: the user of this shell)')
    .addHelpText('after', bottom(`  jobfleet reviews edit document-ocr_01J… --data '{"total_amount":13.25}'`))
    .action(async (id: string, flags: { readonly data: string }) =>
      (await import('./reviews.ts')).editReview(id, flags),
    );
}

function scheduleCommands(program: Command): void {
  const schedules = program.command('schedules').description('what runs by itself, and when');
  remote(schedules.command('list', { isDefault: true }))
    .description('rules in words, the next three runs, the last run and its outcome')
    .action(async (flags: object) => (await import('./schedules.ts')).listSchedules(flags));
  remote(schedules.command('run <type>'))
    .description('one run now; the ticks stay as they are')
    .action(async (type: string, flags: object) => (await import('./schedules.ts')).runSchedule(type, flags));
  remote(schedules.command('pause <type>'))
    .description('skip its ticks until it is resumed, also after a deploy')
    .requiredOption('--reason <text>', 'why, for whoever looks next')
    .option('--by <name>', 'who wants it (default: the user of this shell)')
    .action(async (type: string, flags: { readonly reason: string }) =>
      (await import('./schedules.ts')).pauseSchedule(type, flags),
    );
  remote(schedules.command('resume <type>'))
    .description('run again from the next tick on')
    .action(async (type: string, flags: object) => (await import('./schedules.ts')).resumeSchedule(type, flags));
}

function machineCommands(program: Command): void {
  withJson(program.command('doctor'))
    .description('what works on this machine, what is missing for what, and how to get it')
    .action(async (flags: JsonFlag) => (await import('./doctor.ts')).doctor(flags));
  withJson(program.command('healthcheck'))
    .description('exit 0 when the process on a local port is ready (for containers)')
    .option('--port <port>', 'default: PORT, then 3000')
    .option('--live', 'ask /livez instead of /readyz')
    .action(async (flags: JsonFlag & { readonly port?: string; readonly live?: boolean }) =>
      (await import('./healthcheck.ts')).healthcheck(flags),
    );
}

/** The whole tree. Exits by throwing. */
export function jobfleet(): Command {
  const program = new Command('jobfleet')
    .description('Typed jobs, a worker fleet, dead letters and a dashboard on Redis, PostgreSQL or an embedded store.')
    .version(version())
    .exitOverride()
    .showHelpAfterError()
    .hook('preAction', async () => (await import('./env.ts')).loadEnvFile());
  roots(program);
  jobCommands(program);
  queueCommands(program);
  workerCommands(program);
  tenantCommands(program);
  deadLetterCommands(program);
  reviewCommands(program);
  scheduleCommands(program);
  machineCommands(program);
  return program;
}
