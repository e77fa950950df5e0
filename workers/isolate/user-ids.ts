/** User ids for children of a worker that runs as root. */
import { randomInt } from 'node:crypto';

// Above what adduser hands out in practice and below the ranges of systemd (60001–60513, 61184–65519); inside the first
// 65,536, which is all that a container with mapped ids has.
const first = 30_000;
const last = 59_999;

/** A random id, so that two workers on one machine rarely choose the same; never one of `taken`, which this worker uses. */
export function randomUserId(taken: ReadonlySet<number>): number {
  for (;;) {
    const id = randomInt(first, last + 1);
    if (!taken.has(id)) return id;
  }
}
