import type { JobJson } from 'bullmq';

/** Nothing but a payload for the tail of the queue: no delay, priority, deduplication, parent or schedule. */
export function isPlain({ opts, parent, deduplicationId, repeatJobKey }: JobJson): boolean {
  return (
    parent === undefined &&
    deduplicationId === undefined &&
    repeatJobKey === undefined &&
    (opts.delay ?? 0) === 0 &&
    (opts.priority ?? 0) === 0 &&
    opts.lifo !== true
  );
}
