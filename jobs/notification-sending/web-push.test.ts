import { expect, it } from 'vitest';
import { generateVAPIDKeys } from 'web-push';
import { makeDevice } from '../../tests/support/receivers.ts';
import type { HttpRequest } from '../ports.ts';
import { push } from './payload.ts';
import { sendWebPush } from './web-push.ts';

it('asks with headers of text alone: a child may say nothing else over its pipe', async () => {
  const asked: HttpRequest[] = [];
  const to = { endpoint: 'https://push.example/one', keys: makeDevice().keys };
  const payload = push.parse({ userId: 'u', channel: 'push', to, title: 'T', body: 'B' });
  await sendWebPush({ subject: 'mailto:ops@example.com', ...generateVAPIDKeys() }, payload, to, {
    id: 'notification-sending_1',
    http: async (request) => {
      asked.push(request);
      return { status: 201, headers: {}, body: new Uint8Array(), url: request.url };
    },
  });
  expect(
    asked.flatMap(({ headers }) => Object.entries(headers ?? {})).filter(([, value]) => typeof value !== 'string'),
  ).toEqual([]);
});
