/** What holds for secret fields, whatever the store of jobs: one suite, run on each. */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../../backends/backend.ts';
import { createDeadLetters } from '../../backends/dead-letters.ts';
import { findJobs } from '../../backends/find.ts';
import { changeRecord, readRecord, scheduleKey } from '../../backends/schedule-record.ts';
import { createSchedules } from '../../backends/schedules.ts';
import { scheduleOwner } from '../../backends/secret-owner.ts';
import { slotJobId, tickJobId } from '../../backends/slot-id.ts';
import { loadRegistry } from '../../jobs/registry.ts';
import { declaredSchedules } from '../../jobs/schedule.ts';
import { type Client, createClient, type JobStatus, storedSecrets } from '../../producers/client.ts';
import { parseEnv } from '../../runtime/env.ts';
import { createLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { openFolderStore } from '../../runtime/object-store-folder.ts';
import { createSecretBox, type SecretBox } from '../../runtime/secret-box.ts';
import { workersEnv } from '../../workers/env.ts';
import { type Fleet, startWorkers } from '../../workers/main.ts';
import vaulted from './secret-jobs/vaulted/job.ts';
import { findInStore } from './store-scan.ts';

const queue = 'vaulted';
const key = (id: string, text = id) => ({ id, key: text.repeat(32) });
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
/** What the handler answers: it has seen the token, and its answer is no hash of it alone. */
const proof = (token: string): string => sha256(`seen ${token}`);
const hourMs = 3_600_000;

/** One whose ring tests exchange while clients and workers use it. */
function exchangeable() {
  let current = createSecretBox([key('a')]);
  const box: SecretBox = {
    lockFor: (owner, options) => current.lockFor(owner, options),
    digest: (text, tenant) => current.digest(text, tenant),
    isDigestOf: (digest, text, tenant) => current.isDigestOf(digest, text, tenant),
  };
  return { box, use: (...ring: Parameters<typeof createSecretBox>[0][number][]) => (current = createSecretBox(ring)) };
}

export function secretFieldTests(name: string, open: () => Promise<Backend>): void {
  describe(`secret fields: ${name}`, () => {
    let folder: string;
    let backend: Backend;
    let objects: ObjectStore;
    let client: Client;
    let fleet: Fleet;
    let logged = '';
    const { box, use } = exchangeable();
    /** Of this test alone: what is found anywhere was put there by it. */
    let token: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'jobfleet-secrets-'));
      await chmod(folder, 0o711);
      objects = await openFolderStore(join(folder, 'objects'));
      backend = await open();
      await backend.queue(queue).obliterate({ force: true });
      const registry = await loadRegistry(new URL('./secret-jobs/', import.meta.url));
      client = createClient({ backend, registry, objects, secrets: box });
      const destination = new Writable({
        write(chunk, _encoding, done) {
          logged += String(chunk);
          done();
        },
      });
      const log = createLog({ name: 'worker', level: 'debug', destination });
      const env = parseEnv(workersEnv, { WORK_DIR: folder });
      const parts = { registry, backend, client, objects, secrets: box, log, env, metrics: createMetrics() };
      fleet = await startWorkers({ ...parts, handlerEnv: {} });
    });
    beforeEach(() => {
      // Characters that JSON and addresses write differently.
      token = `planted"${randomBytes(8).toString('hex')}/ü`;
    });
    afterEach(() => {
      use(key('a'));
    });
    afterAll(async () => {
      await fleet?.stop(2_000);
      await backend?.queue(queue).obliterate({ force: true });
      await backend?.close();
      await objects.close();
      await rm(folder, { recursive: true, force: true });
    });

    const ends = (id: string): Promise<JobStatus> =>
      vi.waitFor(
        async () => {
          const status = await client.status(id);
          if (status?.finishedAt == null || (status.status === 'failed' && status.error === null))
            throw new Error(`${id} is ${JSON.stringify(status)}`);
          return status;
        },
        { timeout: 15_000, interval: 20 },
      );
    const done = async (id: string): Promise<unknown> => {
      const { status, result, error } = await ends(id);
      expect({ status, error }).toEqual({ status: 'completed', error: null });
      return result;
    };
    const letters = () =>
      createDeadLetters({
        backend,
        queues: [queue],
        checkPayload: (_queue, payload) => vaulted.payload.safeParse(payload).error?.message,
        secrets: (_queue, owner) => storedSecrets(vaulted, box, owner),
      });
    const storedData = async (id: string) => {
      const job = await backend.queue(queue).getJob(id);
      return job?.data as { token: { $enc: string }; accounts: { user: string; pin: { $enc: string } }[] };
    };
    /** The characters of the token that every writing of it has. */
    const core = (): string => token.slice(8, 24);
    const everywhere = async (): Promise<readonly string[]> => {
      const { looked, found } = await findInStore(backend, [
        core(),
        Buffer.from(token).toString('base64'),
        sha256(token),
      ]);
      expect(looked).toBeGreaterThan(3);
      const kept: string[] = [];
      for await (const { key: object } of objects.list('')) {
        const body = await objects.get(object);
        if (body !== undefined && (await buffer(body.body)).includes(core())) kept.push(object);
      }
      return [...found, ...kept, ...(logged.includes(core()) ? ['log'] : [])];
    };

    it('reach the handler and nothing else: no key, table, object, line or answer holds them', async () => {
      const accounts = [{ user: 'ada', pin: 90_210_877 }, { user: 'bob' }];
      const given = { act: 'leak', token, accounts } as const;
      const later = { delayMs: hourMs, idempotencyKey: randomBytes(6).toString('hex'), tenant: 'acme' };
      const delayed = await client.enqueue(vaulted, { ...given, note: 'delayed' }, later);
      const [failing] = await client.enqueueMany(vaulted, [{ payload: { ...given, note: 'many' } }]);
      const large = await client.enqueue(vaulted, { ...given, note: 'x'.repeat(300_000) });
      for (const id of [failing?.id ?? '', large.id]) {
        const { status, error, progressNote } = await ends(id);
        expect({ status, code: error?.code }).toEqual({ status: 'failed', code: 'UNEXPECTED' });
        expect(error?.message).toContain('401 of https://user:');
        expect(progressNote).toBe('with [secret]');
      }
      const { logs } = await backend.queue(queue).getJobLogs(failing?.id ?? '');
      expect(logs.join('\n')).toContain('asking https://user');
      expect(logs.join('\n')).not.toContain(core());
      expect(await storedData(delayed.id)).toEqual({
        act: 'leak',
        note: 'delayed',
        token: { $enc: expect.stringMatching(/^a\./) },
        accounts: [{ user: 'ada', pin: { $enc: expect.stringMatching(/^a\./) } }, { user: 'bob' }],
      });
      expect((await findJobs(backend, queue, { text: core() }, { limit: 10 })).jobs).toEqual([]);
      expect(await everywhere()).toEqual([]);
      expect((await findInStore(backend, ['90210877'])).found).toEqual([]);
      // The search finds what is there.
      expect((await findInStore(backend, ['asking https'])).found).not.toEqual([]);
    });

    it('are the same for the handler, also over the object store and through ctx.enqueue', async () => {
      const result = { sha256: proof(token), pins: 7 };
      const accounts = [{ user: 'ada', pin: 3 }, { user: 'bob', pin: 4 }, { user: 'eve' }];
      const plain = await client.enqueue(vaulted, { token, accounts });
      const large = await client.enqueue(vaulted, { token, accounts, note: 'x'.repeat(300_000) });
      const passing = await client.enqueue(
        vaulted,
        { act: 'pass', token, accounts, note: 'to be' },
        { tenant: 'acme' },
      );
      expect(await Promise.all([plain, large, passing].map(({ id }) => done(id)))).toEqual([result, result, result]);
      await vi.waitFor(async () => {
        const { jobs } = await findJobs(backend, queue, { text: 'to be passed on' }, { limit: 5 });
        expect(jobs.map(({ state, job }) => [state, job.returnvalue])).toEqual([['completed', result]]);
      });
    });

    it('keep a repeated call one job, before and after the key is changed, and tell another token from it', async () => {
      const options = { idempotencyKey: randomBytes(6).toString('hex'), delayMs: hourMs };
      const first = await client.enqueue(vaulted, { token }, options);
      expect(await client.enqueue(vaulted, { token }, options)).toMatchObject({ id: first.id, duplicate: true });
      use(key('b'), key('a'));
      expect(await client.enqueue(vaulted, { token }, options)).toMatchObject({ id: first.id, duplicate: true });
      await expect(client.enqueue(vaulted, { token: `${token}!` }, options)).rejects.toMatchObject({
        code: 'IDEMPOTENCY_MISMATCH',
      });
    });

    it('keep a unique key unique', async () => {
      const first = await client.enqueue(vaulted, { token, note: 'once' }, { delayMs: hourMs });
      expect(await client.enqueue(vaulted, { token, note: 'once' })).toMatchObject({ id: first.id, duplicate: true });
      expect(await client.enqueue(vaulted, { token, note: 'twice' })).toMatchObject({ duplicate: false });
    });

    it('are encrypted anew, with the newest key, when a queued job is edited', async () => {
      const { id } = await client.enqueue(vaulted, { token, accounts: [{ user: 'ada', pin: 5 }] }, { delayMs: hourMs });
      use(key('b'), key('a'));
      await client.edit(id, { patch: { accounts: [{ user: 'ada', pin: 6 }] } });
      const data = await storedData(id);
      expect([data.token.$enc, data.accounts[0]?.pin.$enc].map((text) => text?.slice(0, 2))).toEqual(['b.', 'b.']);
      await expect(client.edit(id, { patch: { token: data.token } })).rejects.toMatchObject({ code: 'INVALID' });
      await client.edit(id, { delayMs: 0 });
      expect(await done(id)).toEqual({ sha256: proof(token), pins: 6 });
      expect(await everywhere()).toEqual([]);
    });

    it('that do not open make a dead letter with a code, which runs once the key is back', async () => {
      const { id } = await client.enqueue(vaulted, { token }, { delayMs: hourMs });
      use(key('b'));
      await client.edit(id, { delayMs: 0 });
      const { error } = await ends(id);
      expect(error).toEqual({ code: 'SECRET_UNREADABLE', message: expect.stringContaining('the key "a"') });
      expect(await letters().redrive(queue, id, { patch: { note: 'new' } })).toMatchObject({
        state: 'refused',
        message: expect.stringContaining('the key "a"'),
      });
      use(key('a', 'z'));
      expect(await letters().redrive(queue, id)).toMatchObject({ state: 'redriven' });
      expect((await ends(id)).error?.message).toContain('another value');
      use(key('b'), key('a'));
      expect(await letters().redrive(queue, id, { patch: { accounts: [{ user: 'ada', pin: 1 }] } })).toMatchObject({
        state: 'redriven',
      });
      expect(await done(id)).toMatchObject({ pins: 1, sha256: proof(token) });
      expect((await storedData(id)).token.$enc).toMatch(/^b\./);
    });

    it('of another job or tenant do not open', async () => {
      const mine = await client.enqueue(vaulted, { token, note: 'mine' }, { delayMs: hourMs, tenant: 'acme' });
      const { token: taken } = await storedData(mine.id);
      const given = JSON.stringify({ act: 'hash', token: taken, accounts: [], note: '' });
      const ids = [`${queue}_01J00000000000000000000001`, mine.id];
      await backend.queue(queue).remove(mine.id);
      for (const [at, id] of ids.entries()) {
        const facts = at === 0 ? { jobfleet: { tenant: 'acme', v: 1 } } : {};
        const options = { attempts: 1, backoff: { type: 'policy' }, ...facts };
        await backend.add(queue, { id, name: queue, json: given, timestamp: Date.now(), options });
        expect((await ends(id)).error).toMatchObject({ code: 'SECRET_UNREADABLE' });
      }
    });

    it('that came in past the client are refused by the worker, and encrypted by a redrive', async () => {
      const id = `${queue}_01J00000000000000000000002`;
      const json = JSON.stringify({ token, accounts: [], note: '', act: 'hash' });
      const options = { attempts: 1, backoff: { type: 'policy' } };
      await backend.add(queue, { id, name: queue, json, timestamp: Date.now(), options });
      expect((await ends(id)).error).toMatchObject({
        code: 'PAYLOAD_INVALID',
        message: expect.stringContaining('payload.token'),
      });
      expect(await letters().redrive(queue, id)).toMatchObject({ state: 'redriven' });
      expect(await done(id)).toMatchObject({ sha256: proof(token) });
      expect((await storedData(id)).token.$enc).toMatch(/^a\./);
    });

    it('of a schedule are written down once, encrypted, and open in each of its jobs', async () => {
      const type = {
        ...vaulted,
        uniqueKey: undefined,
        schedule: { cron: '0 3 1 1 *', timeZone: 'UTC', payload: { token } },
      };
      const lockOf = (of: string) => box.lockFor(scheduleOwner(of), { repeatable: true });
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      const declared = declaredSchedules([type as unknown as typeof vaulted], lockOf);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      expect(declaredSchedules([type as unknown as typeof vaulted], lockOf)).toEqual(declared);
      const changes: string[] = [];
      const told = {
        onLate: () => undefined,
        onAlert: () => undefined,
        onChange: (_type: string, what: string) => changes.push(what),
      };
      const parts = { backend, release: '1.0.0', instance: 'test', ...told };
      await createSchedules({ ...parts, declared }).makeEqual();
      await createSchedules({ ...parts, declared }).makeEqual();
      // A process without the key leaves it alone.
      await createSchedules({ ...parts, declared: [], withheld: [queue] }).makeEqual();
      expect(changes).toEqual(['made']);
      const [record] = await backend.records.get([scheduleKey(queue)]);
      const json = readRecord(record?.value).declared?.json ?? '';
      const slot = Date.now() - 5_000;
      for (const [at, id] of [tickJobId(queue, slot), slotJobId(queue, slot + 1_000)].entries()) {
        const options = { attempts: 1, backoff: { type: 'policy' } };
        await backend.add(queue, { id, name: queue, json, timestamp: Date.now(), options });
        expect(await done(slotJobId(queue, slot + at * 1_000))).toMatchObject({ sha256: proof(token) });
      }
      await createSchedules({ ...parts, declared: [] }).makeEqual();
      await changeRecord(backend.records, queue, () => ({ write: { release: '0', open: [] } }));
      expect(changes).toEqual(['made', 'removed']);
      expect((await findInStore(backend, [core()])).found).toEqual([]);
    });
  });
}
