import { expect, it } from 'vitest';
import { JobError, retry } from '../jobs/errors.ts';
import { redactSecrets } from './redact.ts';

const token = 'pa"ss wörd/1';
const redact = redactSecrets([token, 'pa"ss wörd/1 and more', '12', '4711']);

it('hides a secret in every writing of it, the longest first', () => {
  const basic = Buffer.from(token).toString('base64');
  const text = `${token}, ${encodeURIComponent(token)}, ${JSON.stringify(token)}, ${basic}, ${token} and more, 12 of 4711`;
  expect(redact.text(text)).toBe('[secret], [secret], "[secret]", [secret], [secret], 12 of [secret]');
});

it('hides it in facts', () => {
  const facts = { [token]: 1, deep: [{ n: 4711, m: 12, error: new Error(token) }], nothing: null };
  expect(redact.facts(facts)).toEqual({
    '[secret]': 1,
    deep: [{ n: '[secret]', m: 12, error: expect.objectContaining({ message: '[secret]' }) }],
    nothing: null,
  });
  const endless: { self?: unknown } = {};
  endless.self = endless;
  expect(JSON.stringify(redact.facts(endless))).toContain('[too deep]');
});

it('hides it in errors, their causes and stacks, and keeps code and verdict', () => {
  const cause = Object.assign(new TypeError(`with ${token}`), { request: token });
  const safe = redact.error(retry('HTTP_500', `asked with ${token}`, 70, { cause }));
  expect(safe).toBeInstanceOf(JobError);
  expect(safe).toMatchObject({
    code: 'HTTP_500',
    message: 'asked with [secret]',
    verdict: { kind: 'retry', notBeforeMs: 70 },
  });
  const inner = (safe as JobError).cause;
  expect(inner).toMatchObject({ name: 'TypeError', message: 'with [secret]' });
  expect(Object.keys(inner as object)).toEqual([]);
  expect(`${(safe as JobError).stack}${(inner as Error).stack}`).not.toContain(token);
  expect((safe as JobError).stack).toContain('redact.test.ts');
});

it('leaves what is no error what it is, but for the secret', () => {
  expect([redact.error(undefined), redact.error(`no ${token}`)]).toEqual([undefined, 'no [secret]']);
});
