/** Which of two files of one match counts. Pure. */
import type { KeptMatch } from '../cricket/match.ts';

export type Revision = Pick<KeptMatch, 'revision' | 'created' | 'sha256'>;

/**
 * Positive when `a` replaces `b`: the higher revision, then the later `created`. Two different files with both equal should
 * not exist; the hash decides, so that every order of arrival ends with the same one. 0: the same file.
 */
export function compareRevisions(a: Revision, b: Revision): number {
  if (a.revision !== b.revision) return a.revision - b.revision;
  if (a.created !== b.created) return a.created < b.created ? -1 : 1;
  return a.sha256 === b.sha256 ? 0 : a.sha256 < b.sha256 ? -1 : 1;
}
