/** What was planned for a season: given with a job, kept for the jobs that follow by themselves. */
import { z } from 'zod';
import { everything, noteChange } from '../cricket/changes.ts';
import { keyPart } from '../cricket/publish.ts';
import type { JobDocuments } from '../ports.ts';
import type { PlannedFixture } from './tables.ts';

const kept = z.object({
  _version: z.int(),
  /** Ids grow with time: the fixtures of a later job stay, in whatever order the jobs run. */
  job: z.string(),
  fixtures: z.array(
    z.object({
      date: z.string(),
      teams: z.array(z.string()),
      abandoned: z.boolean(),
      competition: z.string().optional(),
    }),
  ),
});

/** Keeps those of the job, if it has some, and answers what holds for the season. */
export async function seasonFixtures(
  documents: JobDocuments,
  season: string,
  given: readonly PlannedFixture[] | undefined,
  job: string,
): Promise<readonly PlannedFixture[]> {
  const id = keyPart(season);
  for (;;) {
    const found = await documents.get('season_fixtures', id);
    const before = found === undefined ? undefined : kept.parse(found);
    if (given === undefined || (before !== undefined && before.job > job)) return before?.fixtures ?? [];
    const isWritten =
      before?.job === job ||
      (await documents.put('season_fixtures', { _id: id, job, fixtures: given }, { version: before?._version ?? 0 }));
    if (!isWritten) continue;
    // Tables made without them must not replace those made with them. Repeated when an earlier attempt died here.
    await noteChange(documents, everything, '');
    return given;
  }
}
