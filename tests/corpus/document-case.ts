/** What the generated documents share. */

export interface DocumentCase {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Default document. */
  readonly type?: 'invoice' | 'receipt' | 'document';
  /** Every outcome that is right: a code, or a status of the result. */
  readonly right: readonly string[];
  /** On a machine with nothing else to do. */
  readonly withinMs: number;
  /** What a page may take; default: as long as a page may. */
  readonly pageSeconds?: number;
}

/** mulberry32: small, and the same everywhere. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const bad = ['BAD_SOURCE'] as const;
export const tooMuch = ['LIMIT_EXCEEDED'] as const;
export const read = ['completed', 'review_required'] as const;
export const anyResult = ['completed', 'review_required', 'failed'] as const;
/** Damage may hit anything; what counts is that it is never a crash. */
export const whatever = [...anyResult, 'BAD_SOURCE', 'LIMIT_EXCEEDED'] as const;
export const quick = 3_000;
export const reading = 10_000;

export const sentence = ['The quick brown dog jumped over the lazy fox.', 'A second line stands below the first one.'];
