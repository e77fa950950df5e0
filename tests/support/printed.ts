/** What a command of the CLI prints on standard output, asked of a test API. */
import { vi } from 'vitest';
import type { TestApi } from './api.ts';

export async function printed(
  api: Pick<TestApi, 'key' | 'url'>,
  run: (server: { url: string; key: string }) => Promise<void>,
): Promise<string> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    await run({ url: api.url, key: api.key });
    return write.mock.calls.map(([text]) => String(text)).join('');
  } finally {
    write.mockRestore();
  }
}
