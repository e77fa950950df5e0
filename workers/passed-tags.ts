/** Tells the store how far a fairly shared queue has come: the highest tag that was started, four times a second. */
import type { TagStore } from '../backends/fairness.ts';

export interface PassedTags {
  /** A job of this tag was claimed; 0 = it had none. */
  started(tag: number): void;
  close(): void;
}

const everyMs = 250;

export function passTags(
  tags: Pick<TagStore, 'passTag'>,
  queue: string,
  onError: (error: unknown) => void,
): PassedTags {
  let highest = 0;
  const timer = setInterval(() => {
    if (highest === 0) return;
    const tag = highest;
    // Only what is new: after the queue was empty tags are small again.
    highest = 0;
    tags.passTag(queue, tag).catch(onError);
  }, everyMs).unref();
  return {
    started: (tag) => {
      if (tag > highest) highest = tag;
    },
    close: () => clearInterval(timer),
  };
}
