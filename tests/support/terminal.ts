/** A process as somebody at a terminal meets it: what it prints is kept, and can be waited for. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Terminal {
  readonly child: ChildProcess;
  /** Everything printed so far, both streams. */
  readonly text: () => string;
  /** Resolves when the text printed after `from` (default: everything) matches; rejects when the process ends or time is up. */
  until(pattern: RegExp, options?: { readonly timeoutMs?: number; readonly from?: number }): Promise<RegExpExecArray>;
  /** Ctrl-C: SIGINT to the whole group, as a terminal does. Resolves with the exit code. */
  interrupt(): Promise<number>;
  /** SIGKILL to the group, if it still runs. */
  kill(): Promise<void>;
}

export function openTerminal(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Terminal {
  const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      changed();
    });
  }
  child.once('close', changed);
  const signal = (name: NodeJS.Signals): void => {
    if (child.pid !== undefined) process.kill(-child.pid, name);
  };
  return {
    child,
    text: () => text,
    until: (pattern, { timeoutMs = 20_000, from = 0 } = {}) =>
      new Promise((resolve, reject) => {
        const done = (act: () => void): void => {
          clearTimeout(timer);
          listeners.delete(look);
          act();
        };
        const look = (): void => {
          const match = pattern.exec(text.slice(from));
          if (match !== null) done(() => resolve(match));
          else if (child.exitCode !== null || child.signalCode !== null)
            done(() =>
              reject(new Error(`it ended (${child.exitCode ?? child.signalCode}) without ${pattern}:\n${text}`)),
            );
        };
        const timer = setTimeout(
          () => done(() => reject(new Error(`no ${pattern} within ${timeoutMs} ms:\n${text}`))),
          timeoutMs,
        );
        listeners.add(look);
        look();
      }),
    interrupt: async () => {
      const exit = once(child, 'exit');
      signal('SIGINT');
      const [code] = (await exit) as [number | null];
      return code ?? -1;
    },
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      signal('SIGKILL');
      await exit;
    },
  };
}
