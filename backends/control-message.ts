/** The wire form of a control message, the same on every store. */
import { z } from 'zod';
import type { ControlMessage } from './backend.ts';

const text = z.string().max(512);
const message = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('cancel'), queue: text, id: text }),
  z.object({ kind: z.literal('pause'), tenant: text }),
  z.object({ kind: z.literal('tune'), queue: text }),
]);

/** Reads a control message off the wire; undefined for anything that is none (another release, another program). */
export function parseControl(wire: string): ControlMessage | undefined {
  try {
    return message.safeParse(JSON.parse(wire)).data;
  } catch {
    return undefined;
  }
}
