/** What `jobfleet doctor` says of the store of jobs. */
import { inspectEmbedded } from '../backends/embedded/inspect.ts';
import { openBackend } from '../backends/open.ts';
import { listWorkers } from '../backends/worker-list.ts';
import { storeUrl } from '../runtime/env.ts';
import { judgeWorkers } from './doctor-fleet.ts';
import type { Finding } from './finding.ts';
import { version } from './version.ts';

const skewLimitMs = 2_000;

/** Opens the store as a process would, looks, and closes it. A store that cannot be opened is one unsafe finding. */
export async function checkStore(env: Parameters<typeof storeUrl>[0]): Promise<Finding[]> {
  const url = storeUrl(env);
  // What goes wrong in the background shows in an answer that is missing.
  const ignore = (): void => undefined;
  try {
    const backend = await openBackend(url, { onError: ignore });
    try {
      const found = await backend.inspect();
      return [
        { check: 'jobs', state: 'ok', detail: `${backend.kind}: ${backend.capabilities.accepted}.` },
        ...found.map((one) => ({ ...one, check: `jobs: ${one.check}` })),
        await checkClock(() => backend.now()),
        ...judgeWorkers(await listWorkers(backend.records), version()),
        ...(env.QUEUE_URL === 'embedded' ? [await checkEmbedded(url.slice('embedded:'.length))] : []),
      ];
    } finally {
      await backend.close();
    }
  } catch (error) {
    return [{ check: 'jobs', state: 'unsafe', detail: error instanceof Error ? error.message : String(error) }];
  }
}

/** The way there and back blurs the answer by half of it. */
async function checkClock(askStore: () => Promise<number>): Promise<Finding> {
  const askedAt = Date.now();
  const storeMs = await askStore();
  const skewMs = Math.round(Math.abs(storeMs - (askedAt + Date.now()) / 2));
  const check = 'clock';
  if (skewMs <= skewLimitMs) return { check, state: 'ok', detail: `${skewMs} ms off the store's clock.` };
  return {
    check,
    state: 'unsafe',
    detail: `${skewMs} ms off the store's clock.`,
    why: 'Delays and schedules would run at the wrong time, so workers stop claiming beyond 2 s.',
    fix: 'Synchronise the clocks (NTP).',
  };
}

async function checkEmbedded(dir: string): Promise<Finding> {
  const { store, orphans } = await inspectEmbedded(dir);
  const check = 'embedded store';
  if (store === undefined) return { check, state: 'ok', detail: `none yet in ${dir}; the first start makes it.` };
  const server = store.serverPid === undefined ? 'not running' : `process ${store.serverPid}`;
  const megabytes = (store.sizeBytes / 1_048_576).toFixed(1);
  return {
    check,
    state: orphans.length > 0 ? 'weak' : 'ok',
    detail: `PostgreSQL ${store.major}, ${megabytes} MB in ${store.dataDir}, owner ${store.owner}, ${server}, socket ${store.socket}.`,
    ...(orphans.length > 0 ? { fix: `No project leads to ${orphans.join(', ')}: delete what you do not need.` } : {}),
  };
}
