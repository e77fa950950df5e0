import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSecretBox, SecretError, secretBoxOf } from './secret-box.ts';

const [a, b] = [
  { id: 'a', key: 'a'.repeat(32) },
  { id: 'b', key: 'b'.repeat(32) },
];
const owner = { tenant: 'acme', id: 'mail_1' };

describe('a secret box', () => {
  it('opens what it sealed, for its owner and field alone', () => {
    const box = createSecretBox([a]);
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (text, tenant, id, field) => {
        const sealed = box.lockFor({ tenant, id }).seal(text, field);
        expect(box.lockFor({ tenant, id }).open(sealed, field)).toBe(text);
        expect(() => box.lockFor({ tenant: `${tenant}.`, id }).open(sealed, field)).toThrow(SecretError);
        expect(() => box.lockFor({ tenant, id: `${id}.` }).open(sealed, field)).toThrow(SecretError);
        expect(() => box.lockFor({ tenant, id }).open(sealed, `${field}.`)).toThrow(SecretError);
      }),
      { numRuns: 50 },
    );
  });

  it('refuses what was changed in any character', () => {
    const lock = createSecretBox([a, b]).lockFor(owner);
    const sealed = lock.seal('secret', 'token');
    // The last character of Base64 may carry bits that nobody reads.
    for (let at = 0; at < sealed.length - 1; at += 1) {
      const other = sealed[at] === 'b' ? 'c' : 'b';
      const changed = `${sealed.slice(0, at)}${other}${sealed.slice(at + 1)}`;
      expect(() => lock.open(changed, 'token'), changed).toThrow(SecretError);
    }
    for (const short of ['', 'a.', 'a', `${sealed}=`, sealed.slice(0, 30)])
      expect(() => lock.open(short, 'token')).toThrow(SecretError);
  });

  it('seals with the first key and opens with all of them', () => {
    const old = createSecretBox([a]).lockFor(owner).seal('x', 'f');
    const both = createSecretBox([b, a]).lockFor(owner);
    expect(both.open(old, 'f')).toBe('x');
    const fresh = both.seal('x', 'f');
    expect(fresh.startsWith('b.')).toBe(true);
    expect(() => createSecretBox([a]).lockFor(owner).open(fresh, 'f')).toThrow('the key "b", which is not in the ring');
    const other = createSecretBox([{ ...a, key: 'z'.repeat(32) }]).lockFor(owner);
    expect(() => other.open(old, 'f')).toThrow('another value');
  });

  it('never seals the same way twice, unless it is to', () => {
    const box = createSecretBox([a]);
    expect(box.lockFor(owner).seal('x', 'f')).not.toBe(box.lockFor(owner).seal('x', 'f'));
    const lock = box.lockFor(owner, { repeatable: true });
    expect(lock.seal('x', 'f')).toBe(lock.seal('x', 'f'));
    const nonces = [lock.seal('x', 'f'), lock.seal('y', 'f'), lock.seal('x', 'g')].map((text) => text.slice(0, 18));
    expect(new Set(nonces).size).toBe(3);
  });

  it('knows its digests, with keys that have been replaced too', () => {
    const old = createSecretBox([a]).digest('text', 'acme');
    expect(createSecretBox([b, a]).isDigestOf(old, 'text', 'acme')).toBe(true);
    expect(createSecretBox([b, a]).isDigestOf(old, 'other', 'acme')).toBe(false);
    expect(createSecretBox([b, a]).isDigestOf(old, 'text', 'other')).toBe(false);
    expect(createSecretBox([b]).isDigestOf(old, 'text', 'acme')).toBe(false);
    expect(createSecretBox([a]).isDigestOf('', 'text', 'acme')).toBe(false);
  });
});

describe('the keys of the environment', () => {
  it('are none, one, or a ring with the single one behind it', () => {
    expect(secretBoxOf({})).toBeUndefined();
    const single = secretBoxOf({ ENCRYPTION_KEY: a.key });
    const sealed = single?.lockFor(owner).seal('x', 'f') ?? '';
    expect(sealed.startsWith('default.')).toBe(true);
    const ring = secretBoxOf({ ENCRYPTION_KEY: a.key, ENCRYPTION_KEYS: ` 2026:${b.key}, c:${'c'.repeat(40)}` });
    expect(ring?.lockFor(owner).seal('x', 'f').startsWith('2026.')).toBe(true);
    expect(ring?.lockFor(owner).open(sealed, 'f')).toBe('x');
  });

  it.each([
    [{ ENCRYPTION_KEY: 'short' }, 'at least 32 characters'],
    [{ ENCRYPTION_KEYS: a.key }, 'entry 1: expected <id>:<key>'],
    [{ ENCRYPTION_KEYS: `a:${a.key},b:short` }, 'entry 2'],
    [{ ENCRYPTION_KEYS: `a:${a.key},a:${b.key}` }, 'two keys "a"'],
    [{ ENCRYPTION_KEYS: `default:${a.key}`, ENCRYPTION_KEY: b.key }, 'two keys "default"'],
  ])('that cannot be used are refused without being told: %#', (env, said) => {
    expect(() => secretBoxOf(env)).toThrow(said);
    expect(() => secretBoxOf(env)).toThrow(expect.not.objectContaining({ message: expect.stringContaining(a.key) }));
  });
});
