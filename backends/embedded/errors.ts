/** What the embedded store answers when it cannot do its work: one sentence with the cause and the way out. */
export class EmbeddedStoreError extends Error {
  override readonly name = 'EmbeddedStoreError';
  readonly code = 'EMBEDDED_STORE';
}

/** The `code` of a system or PostgreSQL error (`ENOENT`, `57P03`), or undefined. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Answers `undefined` when `work` fails with one of `codes`; every other failure is thrown on. */
export async function unless<T>(codes: readonly string[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (codes.includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}
