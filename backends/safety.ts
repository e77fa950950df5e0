/** Looks at the store from time to time, because somebody may change its settings while jobs are in it. */
import type { Backend, BackendKind, StoreFinding } from './backend.ts';

/** Redis may be told to evict at any moment: twice within the shortest lease. The embedded store's settings are ours. */
const everyMs: Readonly<Record<BackendKind, number>> = { embedded: 600_000, postgres: 30_000, redis: 2_500 };

export interface Safety {
  /** Why no work should be sent here, without addresses; undefined when the store is safe. Waits for the first look only. */
  readonly problem: () => Promise<string | undefined>;
  readonly stop: () => void;
}

/**
 * `onChange` hears of every change from safe to unsafe (with all that was found) and back (nothing). A store that does not
 * answer keeps its last verdict: that it is gone is for others to say.
 */
export function watchSafety(
  backend: Pick<Backend, 'inspect' | 'kind'>,
  onChange: (unsafe: readonly StoreFinding[]) => void,
): Safety {
  let unsafe: readonly StoreFinding[] = [];
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    const found = await backend.inspect().then(
      (all) => all.filter(({ state }) => state === 'unsafe'),
      () => unsafe,
    );
    isLooking = false;
    if (JSON.stringify(found) === JSON.stringify(unsafe)) return;
    unsafe = found;
    onChange(found);
  };
  const first = look();
  const timer = setInterval(() => void look(), everyMs[backend.kind]).unref();
  return {
    problem: async () => {
      await first;
      if (unsafe.length === 0) return undefined;
      const checks = unsafe.map(({ check }) => check).join(', ');
      return `the store of jobs is unsafe (${checks}): jobfleet doctor says why and what to do`;
    },
    stop: () => clearInterval(timer),
  };
}
