/** Notes in the app: kept for 90 days, read by `GET /v1/notifications`. */
import type { z } from 'zod';
import type { JobContext } from '../define.ts';
import type { Delivery } from './answers.ts';
import type { inApp } from './payload.ts';

/** The job's id is the note's: a repetition finds it there, and its read mark stays. */
export async function keepNote(
  payload: z.output<typeof inApp>,
  { documents, id }: Pick<JobContext, 'documents' | 'id'>,
): Promise<Delivery> {
  const { userId, title, body, link = null, data = {} } = payload;
  const note = { _id: id, userId, title, body, link, data, at: new Date().toISOString(), readAt: null };
  await documents.put('notifications', note, { version: 0 });
  return { status: 'sent', providerId: id };
}
