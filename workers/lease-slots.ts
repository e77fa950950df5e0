/**
 * Running attempts in memory that two threads share: the main loop writes, the lease thread reads. A message would not
 * do, because it never leaves a loop that is blocked. One writer, one reader, no lock: a slot's sequence number is odd
 * while it is being written, and a reader that saw it change reads again.
 */
import { idLimitBytes } from './claim.ts';

const tokenLimitBytes = 128;
const slotBytes = 24 + idLimitBytes + tokenLimitBytes;
const headerBytes = 16;

/** What stands in a slot. `deadlineAt` is epoch ms, infinite for attempts that the pool of children ends. */
export interface Slot {
  readonly queue: number;
  readonly id: string;
  readonly token: string;
  readonly deadlineAt: number;
}

export function slotMemory(slots: number): SharedArrayBuffer {
  return new SharedArrayBuffer(headerBytes + slots * slotBytes);
}

export interface SlotWriter {
  /** Answers the slot's number. Throws when all are taken: there is one per claim the workers may hold. */
  take(slot: Slot): number;
  release(index: number): void;
  /** "The main loop is alive", epoch ms. */
  beat(now: number): void;
}

export function slotWriter(memory: SharedArrayBuffer): SlotWriter {
  const views = viewsOf(memory);
  const encoder = new TextEncoder();
  // Made once per slot: a view of shared memory per claim costs the collector more than the rest of an attempt.
  const texts = new Map<number, { readonly id: Uint8Array; readonly token: Uint8Array }>();
  const textsOf = (index: number, at: number) => {
    let found = texts.get(index);
    if (found === undefined) {
      found = {
        id: views.bytes.subarray(at + 24, at + 24 + idLimitBytes),
        token: views.bytes.subarray(at + 24 + idLimitBytes, at + slotBytes),
      };
      texts.set(index, found);
    }
    return found;
  };
  const free = Array.from({ length: views.slots }, (_, index) => views.slots - 1 - index);
  return {
    take(slot) {
      const index = free.pop();
      if (index === undefined) throw new Error(`All ${views.slots} lease slots are taken; expected one per claim.`);
      const at = headerBytes + index * slotBytes;
      Atomics.add(views.words, at / 4, 1);
      const text = textsOf(index, at);
      const id = encoder.encodeInto(slot.id, text.id);
      const token = encoder.encodeInto(slot.token, text.token);
      views.words[at / 4 + 1] = slot.queue + 1;
      views.words[at / 4 + 4] = id.written;
      views.words[at / 4 + 5] = token.written;
      views.numbers[at / 8 + 1] = slot.deadlineAt;
      Atomics.add(views.words, at / 4, 1);
      return index;
    },
    release(index) {
      const at = headerBytes + index * slotBytes;
      Atomics.add(views.words, at / 4, 1);
      views.words[at / 4 + 1] = 0;
      Atomics.add(views.words, at / 4, 1);
      free.push(index);
    },
    beat(now) {
      views.numbers[0] = now;
    },
  };
}

export interface SlotReader {
  /** The taken slots; one that is being written at this moment is left out. */
  taken(): Slot[];
  /** When the main loop last said it is alive, epoch ms. */
  beatAt(): number;
}

export function slotReader(memory: SharedArrayBuffer): SlotReader {
  const views = viewsOf(memory);
  // TextDecoder refuses shared memory, so the bytes are copied first.
  const text = (start: number, length: number | undefined): string =>
    Buffer.from(views.bytes.slice(start, start + (length ?? 0))).toString();
  const read = (index: number): Slot | undefined => {
    const at = headerBytes + index * slotBytes;
    const before = Atomics.load(views.words, at / 4);
    const queue = views.words[at / 4 + 1] ?? 0;
    if (before % 2 !== 0 || queue === 0) return undefined;
    const slot = {
      queue: queue - 1,
      id: text(at + 24, views.words[at / 4 + 4]),
      token: text(at + 24 + idLimitBytes, views.words[at / 4 + 5]),
      deadlineAt: views.numbers[at / 8 + 1] ?? Number.POSITIVE_INFINITY,
    };
    return Atomics.load(views.words, at / 4) === before ? slot : undefined;
  };
  return {
    taken: () => Array.from({ length: views.slots }, (_, index) => read(index)).filter((slot) => slot !== undefined),
    beatAt: () => views.numbers[0] ?? 0,
  };
}

function viewsOf(memory: SharedArrayBuffer) {
  return {
    slots: Math.floor((memory.byteLength - headerBytes) / slotBytes),
    words: new Int32Array(memory),
    numbers: new Float64Array(memory),
    bytes: new Uint8Array(memory),
  };
}
