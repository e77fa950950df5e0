/** `jobfleet healthcheck`: for `HEALTHCHECK` in images and for ECS: no curl needed. */
import { CliError, print } from './output.ts';

const timeoutMs = 3_000;

export async function healthcheck(flags: {
  readonly port?: string;
  readonly live?: boolean;
  readonly json?: boolean;
}): Promise<void> {
  const port = flags.port ?? process.env['PORT'] ?? '3000';
  const url = `http://127.0.0.1:${port}/${flags.live === true ? 'livez' : 'readyz'}`;
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    if (flags.json === true) print(true, { url, status: null, ok: false }, String);
    throw new CliError(`${url} does not answer: ${error instanceof Error ? error.message : String(error)}`, 1, {
      cause: error,
    });
  }
  const text = await response.text();
  print(flags.json === true, { url, status: response.status, ok: response.ok }, () => `${url} ${response.status}`);
  if (!response.ok) throw new CliError(text.slice(0, 500));
}
