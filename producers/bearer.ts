/**
 * How a key travels in the Authorization header. A header is bytes: a key beyond ASCII arrives as UTF-8 (curl and our own
 * commands) or as Latin-1 (`fetch` and most libraries), and is the same key either way. Blanks around a header's value are
 * not part of it, control characters cannot stand in it, and all headers of a request share 16 KiB.
 */
import { z } from 'zod';

const longestBytes = 8_192;
const control = /[^\t\P{Cc}]/u;

/** `JOBFLEET_KEY`: any string of 32 characters or more that a request can carry, without the blanks around it. */
export const keyVariable = z
  .string()
  .transform((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''))
  .pipe(
    z
      .string()
      .min(32, 'expected at least 32 characters (blanks around them do not count)')
      .refine(
        (key) => !control.test(key),
        'expected no line breaks or other control characters: headers cannot carry them',
      )
      .refine(
        (key) => Buffer.byteLength(key) <= longestBytes,
        `expected at most ${longestBytes} bytes: no request can carry more`,
      ),
  )
  .optional()
  .describe(
    'The key of the operator, with every scope: any string of 32 characters or more, obeyed as it is. `up` makes one when it is not set. The commands that ask a server send it.',
  );

/** The header's value, one character a byte, as `fetch` wants it. */
export function bearer(key: string): string {
  return `Bearer ${Buffer.from(key).toString('latin1')}`;
}

/** The keys a header may mean, one character a byte as Node reads it; none when it is no Bearer header. */
export function bearerKeys(header: string | undefined): readonly string[] {
  const [, sent] = /^Bearer +(.+)$/i.exec(header ?? '') ?? [];
  if (sent === undefined) return [];
  const asUtf8 = Buffer.from(sent, 'latin1').toString();
  return asUtf8 === sent ? [sent] : [sent, asUtf8];
}
