/** What a machine with a wrong clock may not do to the leases of others: the clock that counts is the store's. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend } from './backend.ts';
import { openLeaseRenewer } from './lease-renewer.ts';
import { openBackend } from './open.ts';
import { openPool } from './postgres-pool.ts';

const shiftMs = 65 * 60_000;
const errors: Error[] = [];
let backend: Backend;
let pool: ReturnType<typeof openPool>;
beforeAll(async () => {
  backend = await openBackend('embedded:memory', { onError: (error) => errors.push(error) });
  pool = openPool(backend.leaseConnection.url, { max: 2, onError: (error) => errors.push(error) });
});
afterEach(() => {
  vi.restoreAllMocks();
});
afterAll(async () => {
  await pool.end();
  await backend.close();
});

function setClock(offMs: number): void {
  const right = Date.now;
  vi.spyOn(Date, 'now').mockImplementation(() => right() + offMs);
}

/** Sweeps until a sweep finds something. */
const sweep = (sweeper: ReturnType<typeof open>) =>
  vi.waitFor(
    async () => {
      const swept = await sweeper.getBackend().moveStalledJobsToWait();
      expect(swept).not.toEqual([]);
      return swept;
    },
    { timeout: 15_000, interval: 20 },
  );

function open(queue: string) {
  return backend.worker(queue, () => Promise.resolve(), { concurrency: 1, leaseMs: 100, backoff: () => 1 }).worker;
}

/** A job whose worker died with it. */
async function loseOne(queue: string): Promise<void> {
  await backend.queue(queue).add('x', {}, { jobId: 'x_1' });
  const dead = open(queue);
  expect((await dead.getNextJob('dead'))?.id).toBe('x_1');
  await dead.close(true);
}

describe.each([shiftMs, -shiftMs])('a clock that is %i ms off', (offMs) => {
  const queue = `off${offMs}`;

  it('sweeps like any other, and leaves the sweeps of others alone', async () => {
    await loseOne(queue);
    const [right, wrong] = [open(queue), open(queue)];
    await right.getBackend().moveStalledJobsToWait();
    setClock(offMs);
    expect(await sweep(wrong)).toEqual(['x_1']);
    vi.restoreAllMocks();
    expect((await right.getNextJob('again'))?.id).toBe('x_1');
    expect(await sweep(right)).toEqual(['x_1']);
  });

  it('renews a lease for as long as was asked', async () => {
    await loseOne(`${queue}-renewed`);
    const renewer = await openLeaseRenewer(backend.leaseConnection);
    setClock(offMs);
    expect(await renewer.extend(`${queue}-renewed`, ['x_1'], ['dead'], 30_000)).toEqual([]);
    vi.restoreAllMocks();
    const { rows } = await pool.query<{ ms: number }>(
      `SELECT (locked_until_ms - extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms FROM job WHERE queue = $1`,
      [`${queue}-renewed`],
    );
    expect(rows[0]?.ms).toBeGreaterThan(0);
    expect(rows[0]?.ms).toBeLessThanOrEqual(30_000);
    await renewer.close();
  });
});

it('sweeps although the last sweep was noted for a time that has not come', async () => {
  await loseOne('ahead');
  await pool.query(
    `INSERT INTO meta (queue, field, value)
     VALUES ('ahead', 'stalled-check', (extract(epoch FROM clock_timestamp()) * 1000 + $1)::bigint::text)`,
    [shiftMs],
  );
  expect(await sweep(open('ahead'))).toEqual(['x_1']);
});

it('sweeps at most once in half a lease, however many ask', async () => {
  await backend.queue('often').add('x', {}, { jobId: 'x_1' });
  const patient = backend.worker('often', () => Promise.resolve(), {
    concurrency: 1,
    leaseMs: 600_000,
    backoff: () => 1,
  }).worker;
  await patient.getNextJob('held');
  const mark = async (): Promise<string | undefined> => {
    await patient.getBackend().moveStalledJobsToWait();
    const { rows } = await pool.query<{ value: string }>(
      `SELECT value FROM meta WHERE queue = 'often' AND field = 'stalled-check'`,
    );
    return rows[0]?.value;
  };
  const first = await mark();
  expect(await mark()).toBe(first);
});
