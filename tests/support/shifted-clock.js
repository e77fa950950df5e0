/**
 * Loaded before a program (`node --import`): its clock is CLOCK_SHIFT_MS off, as a machine's would be, and SIGUSR2 sets it
 * by CLOCK_STEP_MS more. Only what people can set is moved; the monotonic clock stays what it is.
 */
const RealDate = Date;
let shiftMs = Number(process.env.CLOCK_SHIFT_MS ?? 0);
const now = () => RealDate.now() + shiftMs;

globalThis.Date = class Date extends RealDate {
  constructor(...values) {
    if (values.length === 0) super(now());
    else super(...values);
  }
  static now() {
    return now();
  }
};

process.on('SIGUSR2', () => {
  shiftMs += Number(process.env.CLOCK_STEP_MS ?? 0);
});
