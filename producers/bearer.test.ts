import { afterAll, expect, test } from 'vitest';
import { openTestApi } from '../tests/support/api.ts';
import { bearer, keyVariable } from './bearer.ts';

const keys = {
  'with blanks and quotes': `correct horse  battery\tstaple "quoted" 'twice' $HOME \`id\` \\ end`,
  'in Latin-1': 'clé de trente-deux caractères, ÀÉÎÕÜ',
  'in other letters': 'नमस्ते दुनिया, मेरी लंबी कुंजी यहाँ है और खुश है',
  'with an emoji': `key 🔑 ${'k'.repeat(32)}`,
  'as long as a header takes': 'x'.repeat(8_192),
};
const closing: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
});

test.each(Object.entries(keys))('a key %s is obeyed as it is', async (_name, key) => {
  const api = await openTestApi({ env: { JOBFLEET_KEY: `  ${key}\t` } });
  closing.push(api.close);
  const ask = async (sent: string | Uint8Array): Promise<string | undefined> => {
    const head = Buffer.from('GET /v1/types HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer ');
    const answer = await api.raw(Buffer.concat([head, Buffer.from(sent), Buffer.from('\r\n\r\n')]));
    return answer.split(' ')[1];
  };
  expect(await ask(key), 'its UTF-8, as curl sends it').toBe('200');
  const response = await fetch(`${api.url}/v1/types`, { headers: { authorization: bearer(key) } });
  expect(response.status, 'as our commands send it').toBe(200);
  const latin1 = Buffer.from(key, 'latin1');
  expect(await ask(latin1.toString('latin1') === key ? latin1 : key), 'its Latin-1 where it has one').toBe('200');
  expect(await ask(key.slice(0, -1))).toBe('401');
  expect(await ask(`${key}x`)).toBe('401');
});

test.each([
  ['x'.repeat(31), 'at least 32 characters'],
  [`${' '.repeat(10)}${'x'.repeat(31)}\t`, 'at least 32 characters'],
  [`${'x'.repeat(32)}\ny`, 'no line breaks'],
  [`${'x'.repeat(32)}\0`, 'control characters'],
  ['é'.repeat(4_097), 'at most 8192 bytes'],
])('a key that no request can carry is refused with a reason (%#)', (key, reason) => {
  expect(
    keyVariable
      .safeParse(key)
      .error?.issues.map((issue) => issue.message)
      .join(),
  ).toContain(reason);
});
