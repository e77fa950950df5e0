/**
 * Loaded before a program (`node --import`): its clock is SHIFT_MINUTES off, in its threads too. Timers are not touched,
 * as with a machine whose clock was set wrong.
 */
const offsetMs = Number(process.env['SHIFT_MINUTES'] ?? '0') * 60_000;
const RealDate = Date;
const realNow = Date.now;

class ShiftedDate extends RealDate {
  constructor(...values: readonly unknown[]) {
    if (values.length === 0) super(realNow() + offsetMs);
    else super(...(values as [number]));
  }

  static override now(): number {
    return realNow() + offsetMs;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;
