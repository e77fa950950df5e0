/**
 * Loaded before a program (`node --import`): its clock is as many minutes off as the file SHIFT_FILE says, in its threads
 * too. The file may change while the program runs, as a clock that is set. Timers are not touched, as with a real one.
 */
import { readFileSync } from 'node:fs';

const path = process.env['SHIFT_FILE'] ?? '';
const lookEveryMs = 20;
const RealDate = Date;
const realNow = Date.now;
const steady = performance.now.bind(performance);

let offsetMs = 0;
let lookedAt = Number.NEGATIVE_INFINITY;

/** A file that is being written keeps what was said last. */
function offset(): number {
  if (steady() - lookedAt < lookEveryMs) return offsetMs;
  lookedAt = steady();
  try {
    const text = readFileSync(path, 'utf8');
    if (text !== '') offsetMs = Number(text) * 60_000;
  } catch {
    // Between its removal and its next version.
  }
  return offsetMs;
}

class ShiftedDate extends RealDate {
  constructor(...values: readonly unknown[]) {
    if (values.length === 0) super(realNow() + offset());
    else super(...(values as [number]));
  }

  static override now(): number {
    return realNow() + offset();
  }
}

globalThis.Date = ShiftedDate as DateConstructor;
