/** What untrusted work may do to its process. Each ends as a dead letter and touches nobody else. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const never = new Promise<never>(() => undefined);

function grow(one: () => unknown): Promise<never> {
  const kept: unknown[] = [];
  for (;;) kept.push(one());
}

const self = [process.execPath, '-e', 'setInterval(() => undefined, 1000)'] as const;

function children(count: number): Promise<never> {
  for (let n = 0; n < count; n += 1) spawn(self[0], self.slice(1), { stdio: 'ignore', detached: n % 2 === 0 });
  return never;
}

const bombs: readonly ((folder: string) => unknown)[] = [
  // heap
  () => grow(() => Array.from({ length: 10_000 }, (_, n) => ({ n }))),
  // resident memory outside the heap
  () => grow(() => Buffer.alloc(8_000_000, 1)),
  // processes, some in sessions of their own
  () => children(60),
  () => process.kill(process.pid, 'SIGKILL'),
  () => process.abort(),
  () => process.exit(0),
  () => process.kill(process.pid, 'SIGSTOP'),
  // the loop
  () => {
    for (;;);
  },
  // output
  () => grow(() => process.stdout.write('x'.repeat(100_000)) && 1),
  // disk
  (folder) => {
    for (let n = 0; ; n += 1) writeFileSync(join(folder, `file-${n}`), Buffer.alloc(1_000_000));
  },
];

export async function explode(n: number, folder: string): Promise<void> {
  await bombs[Math.floor(n / 5) % bombs.length]?.(folder);
  await never;
}
