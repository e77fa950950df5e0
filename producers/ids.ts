/** Job ids: `<type>_<ULID>`, so that an id alone names its queue and sorts by the time it was made. */
import { randomFillSync } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const idRule = /^([a-z][a-z0-9-]{0,36})_([0-7][0-9A-HJKMNP-TV-Z]{25})$/;

const timeLength = 10;
const randomLength = 16;

/** Ids of one process are strictly increasing: within a millisecond, and when the clock steps back, the random part counts up. */
export function createIds(now: () => number = Date.now): (type: string) => string {
  let lastMs = -1;
  let time = '';
  const random = new Uint8Array(randomLength);
  const fresh = randomDigits();
  return (type) => {
    const ms = now();
    if (ms > lastMs) {
      lastMs = ms;
      time = encodeTime(ms);
      for (let place = 0; place < randomLength; place += 1) random[place] = fresh() & 31;
      // The top bit stays free, so that counting up cannot overflow within a millisecond.
      random[0] = (random[0] ?? 0) & 15;
    } else {
      countUp(random);
    }
    let tail = '';
    for (const digit of random) tail += alphabet[digit];
    return `${type}_${time}${tail}`;
  };
}

/** Random bytes one by one, asked of the system by the kilobyte: a call costs more than what it brings. */
function randomDigits(): () => number {
  const pool = new Uint8Array(1_024);
  let used = pool.length;
  return () => {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const byte = pool[used] ?? 0;
    used += 1;
    return byte;
  };
}

function countUp(digits: Uint8Array): void {
  for (let place = digits.length - 1; place >= 0; place -= 1) {
    const digit = (digits[place] ?? 0) + 1;
    digits[place] = digit & 31;
    if (digit < 32) return;
  }
}

function encodeTime(ms: number): string {
  let rest = ms;
  let text = '';
  for (let place = 0; place < timeLength; place += 1) {
    text = `${alphabet[rest % 32]}${text}`;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** The parts of an id, or undefined when it is none of ours. */
export function readId(id: string): { readonly type: string; readonly createdAtMs: number } | undefined {
  const [, type, ulid] = idRule.exec(id) ?? [];
  if (type === undefined || ulid === undefined) return undefined;
  let createdAtMs = 0;
  for (const character of ulid.slice(0, 10)) createdAtMs = createdAtMs * 32 + alphabet.indexOf(character);
  return { type, createdAtMs };
}
