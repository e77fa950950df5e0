/** `GET /v1/jobs/{id}/events`: how a job goes on, as server-sent events. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import type { Client } from './client.ts';
import { LimitedError } from './errors.ts';
import { type EventStream, eventId, hasEnded, openEventStream } from './event-stream.ts';
import type { JobStatus } from './job-status.ts';
import type { JobWatch } from './job-watch.ts';
import type { Credential } from './keys.ts';
import { visibleTenant } from './login.ts';
import { defineRoute, noBody, notFound, nothing, type Route } from './route.ts';
import { jobId, summaryOf } from './routes-jobs.ts';
import { shownData } from './shown-data.ts';
import { storedId } from './stored-id.ts';

export interface EventRouteParts {
  readonly backend: Backend;
  readonly client: Pick<Client, 'status'>;
  readonly events: EventStreams;
}

/** The open streams of one process. */
export interface EventStreams {
  readonly watch: JobWatch;
  /** Streams that one key may have open in this process. */
  readonly perKey: number;
  readonly open: Set<EventStream & { readonly keyId: string }>;
}

/** Of one process, whoever asks. */
const most = 5_000;
const headers = {
  // Nothing follows a stream: a server that stops need not wait for another request.
  connection: 'close',
  'cache-control': 'no-store',
  'content-type': 'text/event-stream; charset=utf-8',
  'x-accel-buffering': 'no',
};

export function eventRoutes({ backend, client, events }: EventRouteParts): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/v1/jobs/{id}/events',
      operationId: 'watchJob',
      summary: 'How a job goes on, as server-sent events (text/event-stream), until it has ended.',
      tag: 'jobs',
      scope: 'jobs',
      params: jobId,
      query: nothing,
      body: noBody,
      requestHeaders: { 'last-event-id': 'The `id` of the last event seen, which is then not told again.' },
      answers: {
        200: {
          description:
            'Events `state`, `progress` and, at last, `outcome` (with the result); `gone` when the job was removed. The first one says how the job stands; of changes that come faster than they are read, the last is told. A comment every 15 s.',
        },
        204: { description: 'The job has ended, and the event named by Last-Event-ID said so: nothing will follow.' },
        429: { description: 'This key has too many streams open.' },
      },
      handle: async ({ params, credential, request }) => {
        const status = await client.status(params.id, visibleTenant(credential));
        if (status === undefined) throw notFound();
        const lastEventId = readLastId(request.headers['last-event-id']);
        if (hasEnded(status) && eventId(status) === lastEventId) return { status: 204 };
        refuseTooMany(events, credential.keyId);
        const stored = await storedId(backend, status.queue, params.id);
        const body = openStream(events, credential, { queue: status.queue, id: stored, lastEventId });
        return { status: 200, headers, body };
      },
    }),
  ];
}

function openStream(
  { watch, open }: EventStreams,
  credential: Credential,
  job: { readonly queue: string; readonly id: string; readonly lastEventId: string | undefined },
) {
  const describe = (status: JobStatus): object =>
    hasEnded(status)
      ? { ...summaryOf(status), result: shownData(credential, status.tenant, status.result) }
      : summaryOf(status);
  const stream = openEventStream({ describe, lastEventId: job.lastEventId }, () => {
    stop();
    open.delete(entry);
  });
  const entry = { ...stream, keyId: credential.keyId };
  open.add(entry);
  // A store that does not answer is asked again with the next event, or by the reader who comes back.
  const stop = watch.watch(job.queue, job.id, stream.tell, () => undefined);
  return stream.body;
}

function refuseTooMany({ open, perKey }: EventStreams, keyId: string): void {
  const own = [...open].filter((stream) => stream.keyId === keyId).length;
  const refused =
    own >= perKey
      ? {
          message: `At most ${perKey} event streams with one API key; close one, or ask GET /v1/jobs/{id}.`,
          status: 429,
        }
      : open.size >= most
        ? { message: 'This server has as many event streams open as it takes.', status: 503 }
        : undefined;
  if (refused !== undefined)
    throw new LimitedError(refused.message, { status: refused.status === 429 ? 429 : 503, retryAfterMs: 10_000 });
}

function readLastId(given: string | string[] | undefined): string | undefined {
  return z.string().max(64).safeParse(given).data;
}

const lastWordsMs = 500;

/** At the end of a server: its readers come back to another one. */
export async function endStreams({ open, watch }: EventStreams): Promise<void> {
  for (const stream of open) stream.end();
  await new Promise<void>((resolve) => {
    const startedAt = performance.now();
    const look = (): void => {
      if (open.size === 0 || performance.now() - startedAt > lastWordsMs) return resolve();
      setTimeout(look, 10);
    };
    look();
  });
  for (const stream of open) stream.body.destroy();
  watch.close();
}
