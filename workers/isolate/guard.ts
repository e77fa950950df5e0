/**
 * Ends the children of a worker that was killed. A shell of a few hundred kilobytes in a session of its own reads the
 * ids of the living process groups from a pipe; the end of the pipe is the end of the worker, and then it kills them.
 * The parent-death signal of `setpriv` reaches the child itself, not the programs it started: this reaches the group.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Guard {
  add(groupId: number): void;
  remove(groupId: number): void;
  /** Kills whatever is still registered. */
  close(): Promise<void>;
}

// Constant text: no input ever becomes part of it. Signals of the terminal are ignored; only the end of the pipe
// counts. `kill -KILL -- -1` is an error in dash; the second form is for shells that do not know the first.
const script = `trap '' INT TERM HUP QUIT
groups=' '
while read -r what id; do
  case "$what" in
    +) groups="$groups$id " ;;
    -) groups="\${groups%% $id *} \${groups#* $id }" ;;
  esac
done
for id in $groups; do kill -s KILL -- "-$id" || kill -9 "-$id"; done`;

/** Throws when there is no /bin/sh. */
export async function openGuard(): Promise<Guard> {
  const shell = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'], env: {} });
  await once(shell, 'spawn');
  // A guard that dies is no reason to lose the worker; the children then die by their own parent-death signal alone.
  shell.stdin.on('error', () => undefined);
  shell.unref();
  const registered = new Set<number>();
  return {
    add(groupId) {
      registered.add(groupId);
      shell.stdin.write(`+ ${groupId}\n`);
    },
    remove(groupId) {
      if (registered.delete(groupId)) shell.stdin.write(`- ${groupId}\n`);
    },
    async close() {
      if (shell.exitCode !== null || shell.signalCode !== null) return;
      // Nothing else may hold the process now, and a loop without a handle ends in the middle of this wait.
      shell.ref();
      shell.stdin.end();
      await once(shell, 'exit');
    },
  };
}
