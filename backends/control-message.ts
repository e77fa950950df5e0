/** The wire form of a control message, the same on every store. */
import type { ControlMessage } from './backend.ts';

/** Reads a control message off the wire; undefined for anything that is none (another release, another program). */
export function parseControl(text: string): ControlMessage | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof message !== 'object' || message === null || !('kind' in message) || message.kind !== 'cancel')
    return undefined;
  if (!('queue' in message) || !('id' in message)) return undefined;
  const { queue, id } = message;
  return typeof queue === 'string' && typeof id === 'string' ? { kind: 'cancel', queue, id } : undefined;
}
