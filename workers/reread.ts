/** Keeps a copy of records in memory: read again when a control message says so, and every five seconds in case one was lost. */
import type { ControlChannel, ControlMessage } from '../backends/backend.ts';

export interface RereadParts {
  readonly control: Pick<ControlChannel, 'listen'>;
  readonly kind: ControlMessage['kind'];
  /** What a message says is not believed: the records are read. */
  readonly read: () => Promise<void>;
  /** A read failed; what was read before stands until the next one. */
  readonly onError: (error: unknown) => void;
  /** Default 5,000. */
  readonly everyMs?: number;
}

/** The first read is over when it resolves; rejects when that failed. Answers the way to stop. */
export async function keepRead(parts: RereadParts): Promise<() => Promise<void>> {
  let reading: Promise<void> | undefined;
  let isWanted = false;
  const readAll = async (): Promise<void> => {
    // A message that comes while a read is under way may be about something it has passed.
    while (isWanted) {
      isWanted = false;
      await parts.read();
    }
  };
  const request = (): void => {
    isWanted = true;
    reading ??= readAll()
      .catch(parts.onError)
      .finally(() => {
        reading = undefined;
      });
  };
  const unlisten = parts.control.listen(({ kind }) => {
    if (kind === parts.kind) request();
  });
  try {
    await parts.read();
  } catch (error) {
    unlisten();
    throw error;
  }
  const timer = setInterval(request, parts.everyMs ?? 5_000);
  return async () => {
    clearInterval(timer);
    unlisten();
    await reading;
  };
}
