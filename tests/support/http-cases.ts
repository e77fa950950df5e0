/** Requests as bytes, and the judgement over a table of bad ones. */
import type { TestApi } from './api.ts';

export interface Case {
  readonly name: string;
  readonly bytes: string | Uint8Array;
  readonly statuses: readonly number[];
}

export const good = '{"type":"email-sending","payload":{"to":"ada@example.com","template":"welcome"}}';

/** `headers` replace the usual ones of the same name; undefined leaves one out. */
export function request(
  api: TestApi,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string | undefined>> = {},
  line = 'POST /v1/jobs HTTP/1.1',
): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const all: Record<string, string | undefined> = {
    host: 'localhost',
    authorization: `Bearer ${api.key}`,
    'content-type': 'application/json',
    'content-length': String(bytes.length),
    connection: 'close',
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return Buffer.concat([Buffer.from(`${line}\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]);
}

export const get = (api: TestApi, path: string): Buffer =>
  request(api, '', { 'content-type': undefined, 'content-length': undefined }, `GET ${path} HTTP/1.1`);

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);

/** Sends all cases, eight at a time, and answers those that did not end as they must. */
export async function wrong(api: TestApi, cases: readonly Case[]): Promise<string[]> {
  const problems: string[] = [];
  for (let from = 0; from < cases.length; from += 8) {
    await Promise.all(
      cases.slice(from, from + 8).map(async ({ name, bytes, statuses }) => {
        const answer = await api.raw(bytes, 12_000);
        const status = statusOf(answer);
        const isProblem = answer.includes('application/problem+json') && /"code":"[A-Z_]+"/.test(answer);
        if (!statuses.includes(status) || !isProblem) problems.push(`${name}: ${status} ${answer.slice(-200)}`);
      }),
    );
  }
  return problems;
}

/** A small generator with a seed, so that a failing case can be run again. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}
