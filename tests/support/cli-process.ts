/** A command that stays (`up`, `api`, `worker`, `dashboard`), started with `--json` as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** The compiled program: `npm run build` first (script/test does). */
const command = fileURLToPath(new URL('../../cli/jobfleet.js', import.meta.url));

export interface CliProcess {
  readonly child: ChildProcess;
  /** The document it printed when it was ready. */
  readonly ready: unknown;
  /** Tells it to drain and waits; answers everything it wrote to standard output. */
  stop(): Promise<string>;
}

/** In `folder`, on free ports, with nothing of this environment but PATH. Throws with its log when it ends before it is ready. */
export async function startCli(
  args: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>> = {},
): Promise<CliProcess> {
  const child = spawn(process.execPath, [command, ...args, '--json'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, TMPDIR: folder, HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  let said = '';
  let logged = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (logged += String(text)));
  const isReady = new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += String(text);
      if (said.endsWith('}\n')) resolve();
    });
  });
  await Promise.race([isReady, ended]);
  if (!said.endsWith('}\n')) throw new Error(`jobfleet ${args.join(' ')} ended before it was ready: ${logged}`);
  return {
    child,
    ready: JSON.parse(said),
    async stop() {
      child.kill('SIGTERM');
      await ended;
      return said;
    },
  };
}
