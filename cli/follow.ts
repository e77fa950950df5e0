/** Follows a job over server-sent events until it has ended. */
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { Connection } from './connection.ts';

const followed = z.looseObject({
  id: z.string(),
  status: z.string(),
  attempt: z.number(),
  maxAttempts: z.number(),
  progress: z.unknown(),
});
type Followed = z.output<typeof followed>;

interface Event {
  readonly name: string;
  readonly id: string | undefined;
  readonly data: string;
}

const againMs = 500;

/** Tells every event. A connection that breaks, or a server that has too many of them, is asked again. */
export async function follow(server: Connection, id: string, onEvent: (job: Followed) => void): Promise<void> {
  let lastId: string | undefined;
  for (;;) {
    const path = `/v1/jobs/${encodeURIComponent(id)}/events`;
    const stream = await server.open(path, lastId === undefined ? {} : { 'last-event-id': lastId });
    if (stream.status === 204) return;
    if (stream.status === 200)
      for await (const event of eventsOf(stream.body)) {
        if (event.name === 'gone') return;
        lastId = event.id;
        onEvent(followed.parse(JSON.parse(event.data)));
        if (event.name === 'outcome') return;
      }
    await stream.body?.cancel().catch(() => undefined);
    await wait(againMs);
  }
}

/** Ends quietly when the connection breaks: what was missed is told by the next one. */
async function* eventsOf(body: AsyncIterable<Uint8Array> | null): AsyncGenerator<Event> {
  const decoder = new TextDecoder();
  let rest = '';
  const chunks = body?.[Symbol.asyncIterator]();
  for (;;) {
    const chunk = await chunks?.next().catch((error: unknown) => {
      if (error instanceof TypeError) return undefined;
      throw error;
    });
    if (chunk === undefined || chunk.done === true) return;
    const blocks = (rest + decoder.decode(chunk.value, { stream: true })).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
      const name = field('event');
      if (name !== undefined) yield { name, id: field('id'), data: field('data') ?? '' };
    }
  }
}
