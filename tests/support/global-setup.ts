/**
 * One `embedded:memory` server per test run. It holds the server open from first to last; test files and parallel
 * workers attach to it by JOBFLEET_TEST_STORE, each with a database of its own.
 */
import { memoryDirectory, removeStore, sweepMemory } from '../../backends/embedded/memory.ts';
import { openEmbedded } from '../../backends/embedded/server.ts';

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  // Every vitest project runs this in the same process: the first one has done it.
  if (process.env['JOBFLEET_TEST_STORE'] !== undefined) return undefined;
  await sweepMemory();
  const dir = memoryDirectory();
  const store = await openEmbedded(dir, {
    durable: false,
    onError: (error) => {
      process.stderr.write(`${error.message}\n`);
    },
  });
  process.env['JOBFLEET_TEST_STORE'] = dir;
  return async () => {
    delete process.env['JOBFLEET_TEST_STORE'];
    await store.close();
    await removeStore(dir);
  };
}
