/** Waits for things to happen, by events of the operating system instead of sleeps. */
import { watch } from 'node:fs';
import { access } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

/** Resolves when the file is there. Its folder must exist. */
export async function appears(path: string): Promise<void> {
  const there = () =>
    access(path).then(
      () => true,
      () => false,
    );
  const watcher = watch(dirname(path));
  try {
    await new Promise<void>((resolve, reject) => {
      watcher.on('error', reject);
      watcher.on(
        'change',
        (_kind, name) => name === basename(path) && void there().then((found) => found && resolve()),
      );
      void there().then((found) => found && resolve());
    });
  } finally {
    watcher.close();
  }
}
