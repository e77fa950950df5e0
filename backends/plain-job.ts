import type { JobJson } from 'bullmq';

/** A payload for the tail of the queue or its place by priority: no delay, deduplication, parent or schedule. */
export function isPlain({ opts, parent, deduplicationId, repeatJobKey }: JobJson): boolean {
  return (
    parent === undefined &&
    deduplicationId === undefined &&
    repeatJobKey === undefined &&
    (opts.delay ?? 0) === 0 &&
    opts.lifo !== true
  );
}
