import { UnrecoverableError } from 'bullmq';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cancelKey } from '../backends/cancel-record.ts';
import { openTestApi, type TestAnswer, type TestApi } from '../tests/support/api.ts';
import { cancelJob } from './cancel.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const mail = { to: 'ada@example.com', template: 'welcome' };

describe('POST /v1/jobs', () => {
  test('stores the job and says where it is', async () => {
    const answer = await api.call('POST', '/v1/jobs', { type: 'email_sending', payload: mail });
    expect(answer.status).toBe(202);
    expect(answer.json).toMatchObject({
      type: 'email-sending',
      queue: 'email-sending',
      status: 'waiting',
      duplicate: false,
    });
    const id = String(answer.json['id']);
    expect(id).toMatch(/^email-sending_[0-9A-HJKMNP-TV-Z]{26}$/);
    expect(answer.headers.get('location')).toBe(`/v1/jobs/${id}`);
    const shown = await api.call('GET', `/v1/jobs/${id}`);
    expect(shown.status).toBe(200);
    expect(shown.json).toEqual({
      id,
      type: 'email-sending',
      queue: 'email-sending',
      status: 'waiting',
      attempt: 0,
      maxAttempts: 4,
      interruptions: 0,
      progress: 0,
      progressNote: null,
      result: null,
      review: null,
      parent: null,
      children: 0,
      childJobs: [],
      files: [],
      error: null,
      createdAt: answer.json['createdAt'],
      startedAt: null,
      finishedAt: null,
      links: { self: `/v1/jobs/${id}` },
    });
  });

  test('a delay, a number of attempts and a start-by time reach the stored job', async () => {
    const startBy = new Date(Date.now() + 7_200_000).toISOString();
    const options = { delayMs: 3_600_000, attempts: 9, startBy };
    const answer = await api.call('POST', '/v1/jobs', { type: 'email-sending', payload: mail, options });
    expect(answer.json['status']).toBe('delayed');
    const stored = await api.backend.queue('email-sending').getJob(String(answer.json['id']));
    expect(stored?.opts).toMatchObject({
      attempts: 9,
      backoff: { type: 'policy' },
      jobfleet: { tenant: '-', startBy: Date.parse(startBy), v: 1 },
    });
    expect(stored?.delay).toBe(3_600_000);
  });

  test('names every field that is wrong', async () => {
    const answer = await api.call('POST', '/v1/jobs', {
      type: 'email-sending',
      payload: { to: 'nope', template: 'welcome', colour: 'red' },
    });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.json).toMatchObject({ status: 400, code: 'INVALID', type: 'urn:jobfleet:error:invalid' });
    const paths = JSON.stringify(answer.json['errors']);
    expect(paths).toContain('"payload.to"');
    expect(paths).toContain('"payload.colour"');
    expect(answer.json['instance']).toBe(answer.headers.get('x-request-id'));
  });

  test('an idempotency key replays the answer, and refuses another body', async () => {
    const headers = { 'idempotency-key': 'order-1' };
    const first = await api.call('POST', '/v1/jobs', { type: 'email-sending', payload: mail }, headers);
    const again = await api.call('POST', '/v1/jobs', { payload: mail, type: 'email_sending' }, headers);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(again.json).toEqual({ ...first.json, duplicate: true });
    const other = await api.call(
      'POST',
      '/v1/jobs',
      { type: 'email-sending', payload: { ...mail, to: 'b@example.com' } },
      headers,
    );
    expect(other).toMatchObject({ status: 422, json: { code: 'IDEMPOTENCY_MISMATCH' } });
  });
});

describe('DELETE /v1/jobs/{id}', () => {
  test('cancels a queued job, and says so again', async () => {
    const { json } = await api.call('POST', '/v1/jobs', { type: 'email-sending', payload: mail });
    const path = `/v1/jobs/${String(json['id'])}`;
    expect(await api.call('DELETE', path)).toMatchObject({ status: 200, json: { status: 'cancelled' } });
    expect(await api.call('DELETE', path)).toMatchObject({ status: 200 });
    expect(await api.call('GET', path)).toMatchObject({
      status: 200,
      json: { status: 'cancelled', error: { code: 'CANCELLED' }, createdAt: json['createdAt'] },
    });
  });

  test('tells a running job, and leaves an ended one alone', async () => {
    const queue = api.backend.queue('video-transcoding');
    const payload = { video_url: 'object:t/-/uploads/x/a.mp4', user_id: 'u', resolutions: ['360p'] };
    const { json } = await api.call('POST', '/v1/jobs', { type: 'video-transcoding', payload });
    expect(json['id']).toBeTypeOf('string');
    const path = `/v1/jobs/${String(json['id'])}`;
    const heard: unknown[] = [];
    const stop = api.backend.control.listen((message) => void heard.push(message));
    let end = (): void => undefined;
    const running = new Promise<void>((resolve) => {
      end = resolve;
    });
    let started = (): void => undefined;
    const active = new Promise<void>((resolve) => {
      started = resolve;
    });
    const { worker } = api.backend.worker(
      'video-transcoding',
      async () => {
        started();
        await running;
        return { ok: true };
      },
      { concurrency: 1, leaseMs: 30_000, backoff: () => -1 },
    );
    void worker.run();
    await active;
    expect(await api.call('GET', path)).toMatchObject({ json: { status: 'active', attempt: 1 } });
    expect(await api.call('DELETE', path)).toMatchObject({ status: 202, json: { status: 'cancelling' } });
    const ended = new Promise((resolve) => worker.once('completed', resolve));
    end();
    await ended;
    stop();
    expect(await api.call('DELETE', path)).toMatchObject({ status: 409, json: { code: 'CONFLICT' } });
    expect(await api.call('GET', path)).toMatchObject({
      json: { status: 'completed', progress: 100, attempt: 1, result: { ok: true } },
    });
    expect(await queue.getCompletedCount()).toBe(1);
    await worker.close();
  });

  test('that comes too late does not take the job away when it is redriven', async () => {
    const payload = { video_url: 'object:t/-/uploads/x/a.mp4', user_id: 'u', resolutions: ['360p'] };
    const { id } = await api.client.enqueueNamed('video-transcoding', payload, { attempts: 1 });
    const path = `/v1/jobs/${id}`;
    const { worker } = api.backend.worker(
      'video-transcoding',
      async () => {
        expect(await api.call('DELETE', path)).toMatchObject({ status: 202 });
        throw new Error('BAD_SOURCE: no');
      },
      { concurrency: 1, leaseMs: 30_000, backoff: () => -1 },
    );
    const failed = new Promise((resolve) => worker.once('failed', resolve));
    void worker.run();
    await failed;
    await worker.close();
    expect(await api.call('GET', path)).toMatchObject({ json: { status: 'failed', error: { code: 'BAD_SOURCE' } } });
    expect(await api.call('POST', '/v1/dead-letters/redrive', { filter: { ids: [id] } })).toMatchObject({
      json: { done: 1 },
    });
    // What a worker of ours reads at a claim that is not the first.
    expect(await api.backend.records.get([cancelKey('video-transcoding', id)])).toEqual([undefined]);
    expect(await api.call('DELETE', path)).toMatchObject({ status: 200 });
    expect(await api.call('GET', path)).toMatchObject({ json: { status: 'cancelled' } });
  });

  test('leaves nothing behind when the job ends meanwhile', async () => {
    const type = 'video-transcoding';
    const payload = { video_url: 'object:t/-/uploads/x/a.mp4', user_id: 'u', resolutions: ['360p'] };
    const { id } = await api.client.enqueueNamed(type, payload, { attempts: 1 });
    let end = (): void => undefined;
    const told = new Promise<void>((resolve) => (end = resolve));
    let started = (): void => undefined;
    const active = new Promise<void>((resolve) => (started = resolve));
    const { worker } = api.backend.worker(
      type,
      async () => {
        started();
        await told;
        throw new Error('BAD_SOURCE: no');
      },
      { concurrency: 1, leaseMs: 30_000, backoff: () => -1 },
    );
    const failed = new Promise((resolve) => worker.once('failed', resolve));
    void worker.run();
    await active;
    const send = async (): Promise<void> => {
      end();
      await failed;
    };
    const backend = { ...api.backend, control: { ...api.backend.control, send } };
    expect(await cancelJob(backend, type, id)).toBe('ended');
    expect(await api.backend.records.get([cancelKey(type, id)])).toEqual([undefined]);
    await worker.close();
  });

  test('keeps what a job was when it was cancelled: attempt, start, progress', async () => {
    const { id } = await api.client.enqueueNamed('video-transcoding', {
      video_url: 'object:t/-/uploads/x/a.mp4',
      user_id: 'u',
      resolutions: ['360p'],
    });
    const path = `/v1/jobs/${id}`;
    const { worker } = api.backend.worker(
      'video-transcoding',
      async (job) => {
        await job.updateProgress({ percent: 40, note: 'half' });
        await api.call('DELETE', path);
        // As a worker of ours ends a cancelled attempt.
        job.opts.removeOnFail = true;
        throw new UnrecoverableError('CANCELLED: on request');
      },
      { concurrency: 1, leaseMs: 30_000, backoff: () => -1 },
    );
    const failed = new Promise((resolve) => worker.once('failed', resolve));
    void worker.run();
    await failed;
    await worker.close();
    const { json } = await api.call('GET', path);
    expect(json).toMatchObject({ status: 'cancelled', attempt: 1, progress: 40, progressNote: 'half', maxAttempts: 4 });
    expect(Date.parse(String(json['startedAt']))).toBeGreaterThanOrEqual(Date.parse(String(json['createdAt'])));
  });
});

describe('GET /v1/jobs', () => {
  test('pages through all of them, each once', async () => {
    const ids: string[] = [];
    let cursor: string | null = null;
    do {
      const query = cursor === null ? '' : `&cursor=${cursor}`;
      const page: TestAnswer = await api.call('GET', `/v1/jobs?queue=email_sending&limit=2${query}`);
      expect(page.status).toBe(200);
      const items = page.json['items'];
      if (!Array.isArray(items)) throw new Error('expected items');
      ids.push(...items.map((item: { id: string }) => item.id));
      cursor = typeof page.json['cursor'] === 'string' ? page.json['cursor'] : null;
    } while (cursor !== null);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThanOrEqual(3);
    const all = await api.call('GET', '/v1/jobs?limit=100');
    expect(all.json['cursor']).toBeNull();
    expect(JSON.stringify(all.json)).toContain(ids[0]);
  });
});

describe('keys', () => {
  test('none, a wrong one and one with a typing error are 401 with a challenge', async () => {
    for (const authorization of ['', 'Bearer ', 'Basic abc', `Bearer ${'x'.repeat(40)}`, `Bearer ${api.key}x`]) {
      const answer = await api.call('GET', '/v1/types', undefined, { authorization });
      expect(answer).toMatchObject({ status: 401, json: { code: 'UNAUTHENTICATED' } });
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    }
  });
});

describe('what everybody may ask', () => {
  test('queues, types and health', async () => {
    expect((await api.call('GET', '/v1/queues')).json['queues']).toContainEqual({
      queue: 'email-sending',
      paused: null,
      concurrency: null,
      counts: expect.objectContaining({ waiting: expect.any(Number), failed: 0 }),
    });
    const types = await api.call('GET', '/v1/types');
    expect(types.json['types']).toContainEqual(
      expect.objectContaining({ name: 'email-sending', aliases: ['email_sending'], available: true }),
    );
    for (const path of ['/livez', '/readyz', '/startupz', '/health', '/metrics']) {
      expect((await fetch(api.url + path)).status).toBe(200);
    }
  });

  test('a type that no worker can run is grey, with the reason', async () => {
    await api.backend.records.putIfAbsent('type-missing:video-transcoding', '{"reason":"ffmpeg is missing"}', 60_000);
    const { json } = await api.call('GET', '/v1/types');
    expect(json['types']).toContainEqual(
      expect.objectContaining({ name: 'video-transcoding', available: false, reason: 'ffmpeg is missing' }),
    );
  });
});
