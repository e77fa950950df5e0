/** What every record store refuses, so that a value that fits one fits all. */

const maxValueBytes = 16_384;

/** Throws a `RangeError` when key or value break the limits of `RecordStore`: key 1–512 characters, value at most 16 KiB. */
export function checkRecord(key: string, value: string | null): void {
  if (key.length < 1 || key.length > 512 || key.includes('\0')) {
    throw new RangeError(`A record key has 1 to 512 characters and no NUL, got ${key.length} characters`);
  }
  const bytes = value === null ? 0 : Buffer.byteLength(value);
  if (bytes > maxValueBytes) {
    throw new RangeError(`A record holds at most ${maxValueBytes} bytes, got ${bytes} for ${key.slice(0, 80)}`);
  }
}
