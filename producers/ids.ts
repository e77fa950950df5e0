/** Job ids: `<type>_<ULID>`, so that an id alone names its queue and sorts by the time it was made. */
import { randomBytes } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const idRule = /^([a-z][a-z0-9-]{0,36})_([0-7][0-9A-HJKMNP-TV-Z]{25})$/;

/** Ids of one process are strictly increasing: within a millisecond, and when the clock steps back, the random part counts up. */
export function createIds(now: () => number = Date.now): (type: string) => string {
  let lastMs = -1;
  let random = 0n;
  return (type) => {
    const ms = now();
    if (ms > lastMs) {
      lastMs = ms;
      // The top bit stays free, so that counting up cannot overflow within a millisecond.
      random = BigInt(`0x${randomBytes(10).toString('hex')}`) >> 1n;
    } else {
      random += 1n;
    }
    return `${type}_${encode(BigInt(lastMs), 10)}${encode(random, 16)}`;
  };
}

function encode(value: bigint, length: number): string {
  let rest = value;
  let text = '';
  for (let place = 0; place < length; place += 1) {
    text = `${alphabet[Number(rest % 32n)]}${text}`;
    rest /= 32n;
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
