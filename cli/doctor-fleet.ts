/** What `jobfleet doctor` says of the workers on the store. */
import type { WorkerFacts } from '../backends/worker-list.ts';
import type { Finding } from './finding.ts';

type Worker = Pick<WorkerFacts, 'circuits' | 'clockOffMs' | 'host' | 'notClaiming' | 'pid' | 'version'>;

const skewLimitMs = 2_000;
const check = 'workers';
const nameOf = ({ host, pid }: Worker): string => `${host}/${pid}`;

/** `ownVersion`: the release that asks. */
export function judgeWorkers(workers: readonly Worker[], ownVersion: string): Finding[] {
  if (workers.length === 0) return [{ check, state: 'ok', detail: 'none is running.' }];
  const found = [
    ...judgeVersions(workers, ownVersion),
    ...judgeClocks(workers),
    ...judgeClaims(workers),
    ...judgeCircuits(workers),
  ];
  return found.length > 0
    ? found
    : [{ check, state: 'ok', detail: `${workers.length}, all of ${ownVersion}, all claiming.` }];
}

function judgeVersions(workers: readonly Worker[], ownVersion: string): Finding[] {
  const versions = new Map<string, number>();
  for (const { version } of workers) versions.set(version, (versions.get(version) ?? 0) + 1);
  if (versions.size === 1 && versions.has(ownVersion)) return [];
  const counted = Array.from(versions, ([version, count]) => `${count} of ${version}`).toSorted();
  return [
    {
      check,
      state: 'weak',
      detail: `${counted.join(', ')}; this is ${ownVersion}.`,
      why: 'A job may be accepted by one release and run by another, which knows other payloads.',
      fix: 'Finish the roll-out; after a rollback redrive what became PAYLOAD_INVALID or UNKNOWN_JOB.',
    },
  ];
}

function judgeClocks(workers: readonly Worker[]): Finding[] {
  const off = workers.filter(({ clockOffMs }) => Math.abs(clockOffMs ?? 0) > skewLimitMs);
  if (off.length === 0) return [];
  return [
    {
      check,
      state: 'unsafe',
      detail: `${off.map((worker) => `${nameOf(worker)} ${worker.clockOffMs} ms`).join(', ')} off the store's clock.`,
      why: 'They stop claiming, so that nothing runs early and no schedule is spoilt.',
      fix: 'Synchronise their clocks (NTP).',
    },
  ];
}

function judgeClaims(workers: readonly Worker[]): Finding[] {
  return workers
    .filter(({ notClaiming, clockOffMs }) => notClaiming !== null && Math.abs(clockOffMs ?? 0) <= skewLimitMs)
    .map((worker) => ({
      check,
      state: 'weak',
      detail: `${nameOf(worker)} claims nothing: ${worker.notClaiming}.`,
      why: 'Its share of the work waits.',
      fix: 'Look at its log; it takes up work again by itself when the cause is gone.',
    }));
}

function judgeCircuits(workers: readonly Worker[]): Finding[] {
  const names = new Set(workers.flatMap(({ circuits }) => circuits.map(({ name }) => name)));
  return Array.from(names, (name) => ({
    check: 'circuit breakers',
    state: 'weak',
    detail: `${name} keeps failing in ${workers.filter(({ circuits }) => circuits.some((one) => one.name === name)).length} of ${workers.length} workers.`,
    why: 'Nobody asks it for a while; jobs that need it are put off and spend no attempt.',
    fix: 'Look at the dependency; a probe finds out by itself when it is back.',
  }));
}
