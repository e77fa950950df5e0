import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Backend } from '../backends/backend.ts';
import { openBackend } from '../backends/open.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { createClient } from '../producers/client.ts';
import { ConfigurationError, parseEnv } from '../runtime/env.ts';
import { createLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { dashboardEnv } from './env.ts';
import { startDashboard } from './main.ts';

let backend: Backend;
beforeEach(async () => {
  backend = await openBackend('embedded:memory', { onError: () => {} });
});
afterEach(() => backend.close());

async function start(env: Record<string, string>, host = '127.0.0.1') {
  const registry = await loadRegistry();
  return startDashboard({
    backend,
    registry,
    client: createClient({ backend, registry }),
    log: createLog({ name: 'test', level: 'silent' }),
    metrics: createMetrics(),
    env: parseEnv(dashboardEnv, env),
    host,
    port: 0,
  });
}

test('without users it makes an admin, tells its password to the caller, and answers health without a login', async () => {
  const { url, madeAdmin, close } = await start({});
  const basic = `Basic ${btoa(`admin:${madeAdmin?.password}`)}`;
  expect((await fetch(`${url}/board/api/queues`, { headers: { authorization: basic } })).status).toBe(200);
  expect((await fetch(`${url}/board/api/queues`)).status).toBe(401);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect((await fetch(url, { redirect: 'manual' })).headers.get('location')).toBe('/board');
  await close();
});

test('with users it makes nobody', async () => {
  const { madeAdmin, close } = await start({ DASHBOARD_USERS: 'vera:viewer:12345678' });
  expect(madeAdmin).toBeUndefined();
  await close();
});

test('it refuses to be reached by other machines without users', async () => {
  await expect(start({}, '0.0.0.0')).rejects.toThrow(ConfigurationError);
  await expect(start({}, '0.0.0.0')).rejects.toThrow(/DASHBOARD_USERS/);
});

test('users that cannot be read are named in the error, their passwords are not', () => {
  const read = () => parseEnv(dashboardEnv, { DASHBOARD_USERS: 'ada:boss:supersecret1' });
  expect(read).toThrow(/DASHBOARD_USERS: entry 1: expected name:role:password/);
  expect(read).not.toThrow(/supersecret1/);
});
