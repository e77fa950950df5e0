import * as fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { madeUpSecret, standardSignature } from '../../tests/support/receivers.ts';
import { JobError, tryAgainIn } from '../errors.ts';
import type { HttpAnswer } from '../ports.ts';
import job from './job.ts';
import { webhook } from './payload.ts';
import { parseSecrets, secretsFor } from './secrets.ts';
import { sendWebhook, signatureHeaders, steps } from './webhook.ts';

afterEach(() => {
  vi.useRealTimers();
});

const payload = webhook.parse({ channel: 'webhook', userId: 'u', to: 'https://hooks.example.com/in', data: { a: 1 } });
const [one, two] = [madeUpSecret('1'), madeUpSecret('2')];

/** The life of one job at an endpoint that answers so; once-records live as long as it does. */
function live(answers: (number: number) => Partial<HttpAnswer>) {
  const records = new Map<string, unknown>();
  const sent: { readonly id: string; readonly body: string; readonly at: number }[] = [];
  const attempt = () =>
    sendWebhook(
      payload,
      {
        id: 'job_1',
        log: () => undefined,
        once: async (key, effect) => {
          if (!records.has(key)) records.set(key, JSON.parse(JSON.stringify(await effect())));
          return records.get(key) as Awaited<ReturnType<typeof effect>>;
        },
        http: async ({ headers = {}, body, url }) => {
          sent.push({ id: headers['webhook-id'] ?? '', body: String(body), at: Date.now() });
          return { status: 500, headers: {}, body: new Uint8Array(), url, ...answers(sent.length) };
        },
      },
      { secrets: [one], random: () => 0.5 },
    );
  return { attempt, sent };
}

async function failure(attempt: () => Promise<unknown>): Promise<JobError> {
  try {
    await attempt();
  } catch (error) {
    if (error instanceof JobError) return error;
    throw error;
  }
  throw new Error('expected a failure');
}

describe('the tries of a webhook', () => {
  test('are ten, at the steps of the standard, under one id and one text; then it is dead', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 0 });
    const { attempt, sent } = live(() => ({}));
    for (const step of steps) {
      const { verdict } = await failure(attempt);
      expect(verdict).toEqual({ kind: 'later', delayMs: step });
      vi.setSystemTime(Date.now() + step);
    }
    expect(await failure(attempt)).toMatchObject({ code: 'HTTP_500', verdict: { kind: 'dead' } });
    expect(sent).toHaveLength(10);
    expect(new Set(sent.map(({ id, body }) => `${id} ${body}`)).size).toBe(1);
    expect(Math.round((sent.at(-1)?.at ?? 0) / 3_600_000)).toBe(76);
    // An operator redrives it: one more.
    expect(await failure(attempt)).toMatchObject({ verdict: { kind: 'dead' } });
    expect(sent).toHaveLength(11);
  });

  test('end before the job expires, whatever patience the endpoint asks for', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 0 });
    const { attempt, sent } = live(() => ({ status: 503, retryAfterMs: 30 * 86_400_000 }));
    for (const _step of steps) {
      const { verdict } = await failure(attempt);
      if (verdict.kind !== 'later') throw new Error('expected a further try');
      vi.setSystemTime(Date.now() + verdict.delayMs);
    }
    expect(await failure(attempt)).toMatchObject({ code: 'HTTP_503', verdict: { kind: 'dead' } });
    expect(sent).toHaveLength(10);
    // With a day for queues that are behind.
    expect(Date.now()).toBeLessThan(job.policy.maxAgeMs - 86_400_000);
  });

  test('end with the first success', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 0 });
    const { attempt, sent } = live((number) => ({ status: number === 3 ? 204 : 503 }));
    for (const step of steps.slice(0, 2)) {
      await failure(attempt);
      vi.setSystemTime(Date.now() + step);
    }
    expect(await attempt()).toEqual({ status: 'sent', providerId: 'job_1' });
    expect(await attempt()).toEqual({ status: 'sent', providerId: 'job_1' });
    expect(sent).toHaveLength(3);
  });

  test('are not counted while the breaker of the endpoint is open', async () => {
    const parked = tryAgainIn(5_000, 'DEPENDENCY_DOWN', 'x');
    const { attempt } = live((number) => {
      if (number <= 20) throw parked;
      return { status: 200 };
    });
    for (let n = 0; n < 20; n += 1) expect(await failure(attempt)).toBe(parked);
    expect(await attempt()).toMatchObject({ status: 'sent' });
  });
});

describe('P15: a signature', () => {
  const secret = fc
    .uint8Array({ minLength: 24, maxLength: 64 })
    .map((bytes) => `whsec_${Buffer.from(bytes).toString('base64')}`);
  const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/);
  const text = fc.oneof(
    fc.json(),
    fc.string({ unit: 'binary' }).map((value) => JSON.stringify(value)),
  );

  test('verifies with each of two secrets, and is what the standard says', () => {
    fc.assert(
      fc.property(secret, secret, id, text, (first, second, name, body) => {
        const headers = signatureHeaders([first, second], name, new Date(), body);
        for (const each of [first, second]) {
          new Webhook(each).verify(body, headers, { jsonParse: false });
          expect(headers['webhook-signature'].split(' ')).toContain(
            standardSignature(each, name, headers['webhook-timestamp'], body),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  test('fails after any change of id, time or body, and for any other secret', () => {
    const change = fc.constantFrom('id', 'time', 'body', 'order', 'secret');
    fc.assert(
      fc.property(secret, secret, id, text, change, (own, other, name, body, what) => {
        fc.pre(own !== other && body.length > 1);
        const headers = signatureHeaders([own], name, new Date(), body);
        const changed = {
          id: { ...headers, 'webhook-id': `${name}x` },
          time: { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) + 1) },
        };
        const reversed = body.split('').toReversed().join('');
        fc.pre(what !== 'order' || reversed !== body);
        expect(() =>
          new Webhook(what === 'secret' ? other : own).verify(
            what === 'body' ? `${body} ` : what === 'order' ? reversed : body,
            what === 'id' || what === 'time' ? changed[what] : headers,
            { jsonParse: false },
          ),
        ).toThrow('No matching signature');
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the secrets of an endpoint', () => {
  const secrets = parseSecrets(
    `*=${one} hooks.example.com=${two}\nhooks.example.com/in=${one},${two}  example.org:8443=${two} Hooks.Example.net/Hooks/In=${two}`,
  );

  test.each([
    ['https://hooks.example.com/', [two]],
    ['https://hooks.example.com/inner', [two]],
    ['https://hooks.example.com/in', [one, two]],
    ['https://hooks.example.com/in/1?x=y', [one, two]],
    ['https://HOOKS.example.com/IN', [two]],
    ['https://example.org:8443/x', [two]],
    ['https://hooks.example.net/Hooks/In', [two]],
    ['https://hooks.example.net/Hooks/In/1', [two]],
    ['https://hooks.example.net/hooks/in', [one]],
    ['https://example.org/x', [one]],
    ['https://evil-hooks.example.com/', [one]],
  ])('are those of the longest name that fits: %s', (url, expected) => {
    expect(secretsFor(secrets, new URL(url))).toEqual(expected);
  });

  test('are none where nothing fits', () => {
    expect(secretsFor(parseSecrets(`example.org=${one}`), new URL('https://example.com/'))).toBeUndefined();
  });

  test.each([
    '',
    ' ',
    'example.com',
    `=${one}`,
    'a=b',
    'a=whsec_',
    `a=${one},`,
    `a=${one} a=${two}`,
    `a b=${one}`,
    'a=whsec_####',
  ])('are refused without being repeated: %j', (text) => {
    expect(() => parseSecrets(text)).toThrow(/expected|twice/);
  });
});
