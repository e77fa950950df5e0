/** The matches of an input: one Cricsheet JSON, or a zip of them. */
import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import type { ReadMatch } from '../cricket/match.ts';
import { readMatch } from '../cricket/read-match.ts';
import { giveUp } from '../errors.ts';
import { limits } from './limits.ts';
import { jsonFiles } from './zip.ts';

export interface FoundMatch {
  readonly match: ReadMatch;
  /** Of its file. */
  readonly sha256: string;
  /** Name in the archive; null for a file of its own. */
  readonly entry: string | null;
}

/** `1422119`, `wi_201701`: what Cricsheet names its files. */
const idRule = /^(?:[a-z]{1,8}_)?\d{1,12}$/;

/** The first bytes decide what it is. `input` is the name of the source, whose last part names the match. */
export async function* matchesOf(path: string, input: string, signal: AbortSignal): AsyncGenerator<FoundMatch> {
  if (!(await isZip(path))) {
    yield found(idOf(input), await readFile(path), null);
    return;
  }
  let count = 0;
  for await (const { name, bytes } of jsonFiles(path, signal)) {
    count += 1;
    if (count > limits.matches)
      throw giveUp('LIMIT_EXCEEDED', `The archive has more than ${limits.matches} matches; send it in parts.`);
    yield found(idOf(name), bytes, name);
  }
  if (count === 0) throw giveUp('BAD_SOURCE', 'The archive holds no .json file; expected Cricsheet matches.');
}

async function isZip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    const start = buffer.subarray(0, bytesRead).toString('latin1');
    if (start.startsWith('PK\x03\x04') || start.startsWith('PK\x05\x06')) return true;
    const { size } = await file.stat();
    if (size > limits.matchBytes)
      throw giveUp('LIMIT_EXCEEDED', `A match may have at most ${limits.matchBytes} bytes, it has ${size}.`);
    return false;
  } finally {
    await file.close();
  }
}

function idOf(name: string): string {
  const path = name.startsWith('https://') ? new URL(name).pathname : name;
  const id = /([^/:]*)\.json$/i.exec(path)?.[1] ?? '';
  if (idRule.test(id)) return id;
  throw giveUp(
    'BAD_SOURCE',
    `Expected a file named by its match id, as Cricsheet does ("1422119.json"), got ${JSON.stringify(path.slice(-80))}: without it a match could be counted twice.`,
  );
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function found(id: string, bytes: Buffer, entry: string | null): FoundMatch {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (error) {
    throw giveUp('BAD_SOURCE', `Match ${id}: expected JSON in UTF-8.`, { cause: error });
  }
  return { match: readMatch(id, text), sha256: createHash('sha256').update(bytes).digest('hex'), entry };
}
