/**
 * Loaded before a program (`node --import`): its clock is CLOCK_SHIFT_MS off, as a machine's would be, and SIGUSR2 sets it
 * by CLOCK_STEP_MS more, in its threads too. Only what people can set is moved; the monotonic clock stays what it is.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';

const name = 'shifted clock';
const RealDate = Date;
// Memory that the threads of a process share: they hear no signals.
const shiftMs = isMainThread ? new BigInt64Array(new SharedArrayBuffer(8)) : getEnvironmentData(name);
const now = () => RealDate.now() + Number(Atomics.load(shiftMs, 0));

globalThis.Date = class Date extends RealDate {
  constructor(...values) {
    if (values.length === 0) super(now());
    else super(...values);
  }
  static now() {
    return now();
  }
};

if (isMainThread) {
  setEnvironmentData(name, shiftMs);
  Atomics.store(shiftMs, 0, BigInt(process.env.CLOCK_SHIFT_MS ?? 0));
  process.on('SIGUSR2', () => {
    Atomics.add(shiftMs, 0, BigInt(process.env.CLOCK_STEP_MS ?? 0));
  });
}
