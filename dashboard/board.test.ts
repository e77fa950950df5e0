import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestDashboard, type Person, passwords, type TestDashboard } from '../tests/support/dashboard.ts';

let stage: TestDashboard;
beforeAll(async () => {
  stage = await openTestDashboard();
  await stage.work();
});
afterAll(() => stage.close());

interface Call {
  readonly as?: Person;
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

async function call(path: string, { as, method = 'GET', body, headers }: Call = {}) {
  const response = await fetch(stage.url + path, {
    method,
    redirect: 'manual',
    headers: {
      ...(as === undefined
        ? {}
        : { authorization: `Basic ${Buffer.from(`${as}:${passwords[as]}`).toString('base64')}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson && text !== '' ? JSON.parse(text) : {},
  };
}

const queue = '/board/api/queues/email-sending';
const mail = (to: string) => ({ to, template: 'welcome', variables: {} });
const lastAction = () => stage.lines().findLast((line) => line['msg'] === 'operator action');

describe('a stranger', () => {
  test('gets 401 from every route but the login, whatever the method', async () => {
    const open = new Set(['/login', '/logout']);
    const asked = stage.routes.filter(({ url }) => !open.has(url));
    expect(asked.length).toBeGreaterThan(50);
    for (const { method, url } of asked) {
      const path = url.replaceAll(/:\w+/g, 'x').replaceAll('*', 'index.ejs');
      const { status, headers } = await call(path, { method });
      expect([method, url, status]).toEqual([method, url, 401]);
      expect(headers.get('www-authenticate')).toBe('Basic realm="Jobfleet"');
    }
  });

  test('is sent to the login page by a browser, and back afterwards', async () => {
    const asked = await call('/board/queue/email-sending?page=2', { headers: { accept: 'text/html' } });
    expect(asked.status).toBe(302);
    expect(asked.headers.get('location')).toBe('/login?next=%2Fboard%2Fqueue%2Femail-sending%3Fpage%3D2');
    const page = await call(asked.headers.get('location') ?? '');
    expect(page.text).toContain('value="/board/queue/email-sending?page=2"');
    expect(page.text).not.toContain('<script');
  });

  test.each(['ada:wrong-password', 'nobody:may-do-everything', 'ada:', ':', 'ada', `ada:${passwords.ada} `])(
    'is not let in with %s',
    async (text) => {
      const authorization = `Basic ${Buffer.from(text).toString('base64')}`;
      expect((await call('/board', { headers: { authorization, 'x-forwarded-for': '1.2.3.4' } })).status).toBe(401);
    },
  );
});

describe('a session', () => {
  const logIn = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    fetch(`${stage.url}/login`, { method: 'POST', redirect: 'manual', headers, body: new URLSearchParams(fields) });

  test('is a signed, closed cookie that opens the board until the logout', async () => {
    const answer = await logIn({ name: 'otto', password: passwords.otto, next: '/board/queue/x' });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/board/queue/x']);
    const set = answer.headers.get('set-cookie') ?? '';
    expect(set).toMatch(/^jobfleet_session=[\w-]+\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/);
    const cookie = set.slice(0, set.indexOf(';'));
    expect((await call('/board/api/queues', { headers: { cookie } })).status).toBe(200);
    const forged = `${cookie.slice(0, -2)}${cookie.endsWith('AA') ? 'BB' : 'AA'}`;
    expect((await call('/board/api/queues', { headers: { cookie: forged } })).status).toBe(401);
    const body = Buffer.from(JSON.stringify({ name: 'ada', until: 9e15 })).toString('base64url');
    const stolen = cookie.replace(/=[\w-]+\./, `=${body}.`);
    expect((await call('/board/api/queues', { headers: { cookie: stolen } })).status).toBe(401);
    const out = await call('/logout', { method: 'POST', headers: { cookie } });
    expect(out.headers.get('set-cookie')).toContain('Max-Age=0');
  });

  test.each(['https://evil.example', '//evil.example', '/\\evil.example', 'javascript:alert(1)', '/\nx'])(
    'never sends the browser away to %s',
    async (next) => {
      const answer = await logIn({ name: 'vera', password: passwords.vera, next });
      expect(answer.headers.get('location')).toBe('/board');
    },
  );

  test('changes nothing for another site', async () => {
    for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
      expect((await call(`${queue}/pause`, { as: 'ada', method: 'PUT', headers })).status).toBe(403);
      expect((await logIn({ name: 'ada', password: passwords.ada }, headers)).status).toBe(400);
    }
  });
});

describe('roles', () => {
  test.each([
    ['vera', 'PUT', '/pause', 403],
    ['vera', 'POST', '/add', 403],
    ['otto', 'PUT', '/pause', 200],
    ['otto', 'PUT', '/resume', 200],
    ['otto', 'PUT', '/empty', 403],
    ['otto', 'PUT', '/obliterate', 403],
    ['ada', 'PUT', '/empty', 200],
  ] as const)('%s %s %s answers %i', async (as, method, path, status) => {
    const answer = await call(queue + path, { as, method, body: {} });
    expect(answer.status).toBe(status);
    expect(lastAction()).toMatchObject({
      actor: as,
      action: `${method} ${path}`,
      queue: 'email-sending',
      statusCode: status,
    });
  });

  test('every role may look', async () => {
    for (const as of ['vera', 'otto', 'ada'] as const)
      expect((await call('/board/api/queues', { as })).status).toBe(200);
  });
});

describe('the board', () => {
  test('loads nothing from elsewhere and cannot be framed', async () => {
    const page = await call('/board', { as: 'vera' });
    expect(page.text).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect((await call('/board/static/favicon-32x32.png', { as: 'vera' })).status).toBe(200);
  });

  test('answers every look without an error', async () => {
    const id = await stage.mail('completed', mail('ada@example.com'));
    for (const { url } of stage.routes.filter(({ method }) => method === 'GET')) {
      const path = url.replace(':queueName', 'email-sending').replace(':jobId', id).replace('*', 'favicon.ico');
      const { status } = await call(path, { as: 'vera' });
      expect([url, status < 500]).toEqual([url, true]);
    }
    expect((await call('/board/api/redis/stats', { as: 'vera' })).json.backend).toBe('postgres');
  });

  test('lists every job type with its summary and the schema of its payload', async () => {
    const { json } = await call('/board/api/queues', { as: 'vera' });
    const shown = json.queues.map((one: { name: string; description: string }) => [one.name, one.description]);
    expect(shown).toEqual([...stage.registry.jobs.values()].map((job) => [job.name, job.summary]));
    const schema = await call(`${queue}/job-data-schema`, { as: 'vera' });
    expect(schema.json.$schema).toBe('http://json-schema.org/draft-07/schema#');
  });

  test('says why no worker can run a type', async () => {
    const reason = JSON.stringify({ reason: 'ffmpeg is not installed' });
    await stage.backend.records.putIfAbsent('type-missing:image-processing', reason, 60_000);
    await expect
      .poll(
        async () => {
          const { json } = await call('/board/api/queues', { as: 'vera' });
          return json.queues.find((one: { name: string }) => one.name === 'image-processing').description;
        },
        { timeout: 5_000 },
      )
      .toMatch(/ Not available: ffmpeg is not installed$/);
  });

  test('masks payload and result', async () => {
    const id = await stage.mail('completed', {
      ...mail('ada@example.com'),
      variables: { name: 'card 4111 1111 1111 1111' },
    });
    const { text, json } = await call(`${queue}/${id}`, { as: 'vera' });
    expect(json.job.data.to).toBe('a***@example.com');
    expect(text).not.toContain('ada@example.com');
    expect(text).not.toContain('4111 1111');
    expect(json.status).toBe('completed');
    expect((await call(`${queue}/${id}/logs`, { as: 'vera' })).text).toContain('mail accepted by the server');
  });
});

test('shows what is known of a dead letter at the end of its log', async () => {
  const id = await stage.mail('failed', mail('ada@example.com'));
  const causes = [{ cause: 'crash', at: 1_700_000_000_000 }];
  const { records } = stage.backend;
  await records.putIfAbsent(`run:email-sending:${id}`, JSON.stringify({ interrupted: 1, causes }), 60_000);
  const { json } = await call(`${queue}/${id}/logs`, { as: 'vera' });
  expect(json.slice(-3)).toEqual([
    '[dead letter] run 1, fence 1',
    '[dead letter] interrupted 1 times: crash 2023-11-14T22:13:20.000Z',
    // The server refused it in the middle.
    '[dead letter] effects: mail (may have happened)',
  ]);
  await (await stage.backend.queue('email-sending').getJob(id))?.remove();
});

describe('adding a job', () => {
  const add = (body: unknown) => call(`${queue}/add`, { as: 'otto', method: 'POST', body });

  test.each(['', '__default__', 'email-sending'])('under the name %j stores it as a producer would', async (name) => {
    const { status, json } = await add({ name, data: mail('bob@example.com'), options: { delay: 60_000 } });
    expect([status, json.status]).toEqual([200, 'delayed']);
    expect(json.job.id).toMatch(/^email-sending_[0-9A-Z]{26}$/);
    const stored = await stage.backend.queue('email-sending').getJob(json.job.id);
    expect(stored?.opts).toMatchObject({ attempts: 4, backoff: { type: 'policy' }, delay: 60_000 });
    expect(stored?.data.locale).toBe('en');
  });

  test.each([
    [{ name: '', data: { to: 'nope', template: 'welcome' } }, 'data.to: expected one address'],
    [{ name: '', data: { ...mail('a@b.co'), extra: 1 } }, 'data: Unrecognized key'],
    [{ name: '', data: 'text' }, 'data: '],
    [{ name: '' }, 'data: '],
    [{ name: 'other', data: mail('a@b.co') }, 'Leave the name empty'],
    [{ name: '', data: mail('a***@example.com') }, 'to still holds masked text'],
    [{ name: '', data: mail('a@b.co'), options: { attempts: 0 } }, 'options.options.attempts'],
    [{ name: '', data: mail('a@b.co'), options: { delay: 'soon' } }, 'options.options.delay'],
  ])('is refused with the reason: %j', async (body, message) => {
    const { status, json } = await add(body);
    expect(status).toBe(400);
    expect(json.message).toContain(message);
    expect(json.error.key).toBe('ERRORS.INVALID_REQUEST_BODY');
  });

  test('refuses JSON that would change prototypes', async () => {
    const response = await fetch(`${stage.url}${queue}/add`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`otto:${passwords.otto}`)}`, 'content-type': 'application/json' },
      body: '{"name":"","data":{"__proto__":{"x":1}}}',
    });
    expect(response.status).toBe(400);
  });
});

describe('editing a job', () => {
  const edit = (id: string, jobData: unknown) =>
    call(`${queue}/${id}/update-data`, { as: 'otto', method: 'PATCH', body: { jobData } });
  const stored = async (id: string) => (await stage.backend.queue('email-sending').getJob(id))?.data;
  const delayed = async () =>
    (
      await stage.client.enqueueNamed(
        'email-sending',
        { ...mail('ada@example.com'), variables: { name: 'Ada' } },
        { delayMs: 60_000 },
      )
    ).id;

  test('keeps what was masked and left alone', async () => {
    const id = await delayed();
    const { json } = await call(`${queue}/${id}`, { as: 'otto' });
    expect((await edit(id, { ...json.job.data, variables: { name: 'Eve' } })).status).toBe(200);
    expect(await stored(id)).toMatchObject({ to: 'ada@example.com', variables: { name: 'Eve' } });
  });

  test('is refused for what the schema does not know', async () => {
    const id = await delayed();
    for (const body of [undefined, [], {}, { jobData: null }])
      expect((await call(`${queue}/${id}/update-data`, { as: 'otto', method: 'PATCH', body })).status).toBe(400);
    expect((await edit(id, { to: 'a@b.co' })).json.message).toContain('data.');
    expect((await edit(id, { ...mail('x***@example.com') })).json.message).toContain('masked text');
    expect(await stored(id)).toMatchObject({ to: 'ada@example.com', variables: { name: 'Ada' } });
  });
});

describe('a dead letter', () => {
  const state = async (id: string) => (await stage.backend.queue('email-sending').getJob(id))?.getState();

  test('is retried by the same function as everywhere: same id, fresh attempts, one mail', async () => {
    const id = await stage.mail('failed', mail('carl@example.com'));
    expect(await state(id)).toBe('failed');
    expect((await call(`${queue}/${id}/retry`, { as: 'otto', method: 'PUT' })).status).toBe(204);
    await expect.poll(() => state(id), { timeout: 10_000 }).toBe('completed');
    const run = await stage.backend.records.get([`run:email-sending:${id}`]);
    expect(JSON.parse(run[0]?.value ?? '{}').run).toBe(2);
    const mails = await stage.inbox.messages();
    expect(mails.filter(({ to }) => to.includes('carl@example.com'))).toHaveLength(1);
    expect(lastAction()).toMatchObject({ actor: 'otto', action: 'PUT /:jobId/retry', jobId: id, statusCode: 204 });
    const again = await call(`${queue}/${id}/retry`, { as: 'otto', method: 'PUT' });
    expect([again.status, again.json.error.key]).toEqual([400, 'ERRORS.STATUS_NOT_RETRIABLE']);
  });

  test('that would fail its schema again is not retried, and says why', async () => {
    const added = await stage.backend
      .queue('email-sending')
      .add('email-sending', { to: 'nope' }, { jobId: 'email-sending_0000000000000000000000000A' });
    await expect.poll(() => state(added.id ?? ''), { timeout: 10_000 }).toBe('failed');
    const refused = await call(`${queue}/${added.id}/retry`, { as: 'otto', method: 'PUT' });
    expect([refused.status, refused.json.error.key]).toEqual([409, 'ERRORS.JOB_NOT_RETRIABLE']);
    expect(refused.json.message).toContain('schema');
    expect((await call(`${queue}/${added.id}/clean`, { as: 'otto', method: 'PUT' })).status).toBe(204);
    expect(await state(added.id ?? '')).toBeUndefined();
  });

  test('goes back with all others of its queue', async () => {
    const ids = [
      await stage.mail('failed', mail('dora@example.com')),
      await stage.mail('failed', mail('emil@example.com')),
    ];
    expect((await call(`${queue}/retry/failed`, { as: 'otto', method: 'PUT' })).json.retried).toBe(2);
    for (const id of ids) await expect.poll(() => state(id), { timeout: 10_000 }).toBe('completed');
    expect((await call(`${queue}/retry/completed`, { as: 'otto', method: 'PUT' })).status).toBe(400);
    expect((await call(`${queue}/clean/active`, { as: 'ada', method: 'PUT' })).status).toBe(400);
  });
});

test('removing a queued job is a cancel', async () => {
  const { id } = await stage.client.enqueueNamed('email-sending', mail('fay@example.com'), { delayMs: 60_000 });
  expect((await call(`${queue}/${id}/clean`, { as: 'otto', method: 'PUT' })).status).toBe(204);
  expect((await stage.client.status(id))?.status).toBe('cancelled');
});

test('ten wrong passwords close the door for a while', async () => {
  const wrong = { headers: { authorization: `Basic ${btoa('ada:wrong')}` } };
  const answers: number[] = [];
  for (let count = 0; count < 12; count += 1) answers.push((await call('/board', wrong)).status);
  expect(answers.at(-1)).toBe(429);
  expect((await call('/board', { as: 'ada' })).status).toBe(429);
});
