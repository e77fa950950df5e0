/**
 * `jobfleet doctor`: looks at this machine and the configured servers the way the processes themselves would, and says
 * what works, what is missing for what, and how to get it. Changes nothing; starts the embedded store only if it runs
 * already or may be started, as every command that uses it does.
 */
import { join, resolve } from 'node:path';
import type { z } from 'zod';
import { inspectEmbedded } from '../backends/embedded/inspect.ts';
import { openBackend } from '../backends/open.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { commonEnv, parseEnv } from '../runtime/env.ts';
import { createLog } from '../runtime/log.ts';
import { openObjectStore } from '../runtime/open-object-store.ts';
import { findAvailable } from '../workers/availability.ts';
import { openPool } from '../workers/isolate/pool.ts';
import { CliError, print, table } from './output.ts';

interface Finding {
  readonly check: string;
  /** `missing` greys something and leaves the rest working; `unsafe` may lose or leak something. */
  readonly state: 'ok' | 'missing' | 'unsafe';
  readonly detail: string;
  readonly fix?: string;
}

type Environment = z.output<typeof commonEnv>;
const skewLimitMs = 2_000;

export async function doctor(flags: { readonly json?: boolean }): Promise<void> {
  const env = parseEnv(commonEnv, process.env);
  const findings = [
    checkNode(),
    ...(await checkStore(env)),
    await checkObjects(env),
    await checkIsolation(),
    ...(await checkJobTypes()),
  ];
  print(flags.json === true, { findings }, (it) =>
    table(
      ['', 'check', 'finding'],
      it.findings.map((one) => [one.state, one.check, one.fix === undefined ? one.detail : `${one.detail} ${one.fix}`]),
      'Nothing was checked.',
    ),
  );
  if (findings.some((one) => one.state === 'unsafe')) throw new CliError('Something unsafe was found; see above.');
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const supported = major > 20 || (major === 20 && minor >= 19);
  return {
    check: 'Node',
    state: supported ? 'ok' : 'unsafe',
    detail: process.versions.node,
    ...(supported ? {} : { fix: 'Install Node.js 20.19 or later.' }),
  };
}

function failed(check: string, error: unknown): Finding {
  return { check, state: 'unsafe', detail: error instanceof Error ? error.message : String(error) };
}

async function checkStore(env: Environment): Promise<Finding[]> {
  const dir = resolve(env.DATA_DIR, 'queue');
  const url = env.QUEUE_URL === 'embedded' ? `embedded:${dir}` : env.QUEUE_URL;
  const errors: Error[] = [];
  try {
    const backend = await openBackend(url, { connections: 2, onError: (error) => errors.push(error) });
    try {
      await backend.ping();
      const skewMs = Math.abs((await backend.now()) - Date.now());
      const isSkewed = skewMs > skewLimitMs;
      return [
        { check: 'jobs', state: 'ok', detail: `${backend.kind}: ${backend.capabilities.accepted}.` },
        {
          check: 'clock',
          state: isSkewed ? 'unsafe' : 'ok',
          detail: `${Math.round(skewMs)} ms off the store's clock.`,
          ...(isSkewed ? { fix: 'Workers stop claiming beyond 2 s: synchronise the clocks (NTP).' } : {}),
        },
        ...(backend.kind === 'embedded' && env.QUEUE_URL === 'embedded' ? [await checkEmbedded(dir)] : []),
      ];
    } finally {
      await backend.close();
    }
  } catch (error) {
    return [failed('jobs', error)];
  }
}

async function checkEmbedded(dir: string): Promise<Finding> {
  const { store, orphans } = await inspectEmbedded(dir);
  const check = 'embedded store';
  if (store === undefined) return { check, state: 'ok', detail: `none yet in ${dir}; the first start makes it.` };
  const server = store.serverPid === undefined ? 'not running' : `process ${store.serverPid}`;
  const megabytes = (store.sizeBytes / 1_048_576).toFixed(1);
  return {
    check,
    state: orphans.length > 0 ? 'missing' : 'ok',
    detail: `PostgreSQL ${store.major}, ${megabytes} MB in ${store.dataDir}, owner ${store.owner}, ${server}, socket ${store.socket}.`,
    ...(orphans.length > 0 ? { fix: `No project leads to ${orphans.join(', ')}: delete what you do not need.` } : {}),
  };
}

async function checkObjects(env: Environment): Promise<Finding> {
  const url = env.STORAGE_URL ?? `file:${join(resolve(env.DATA_DIR), 'objects')}`;
  try {
    const objects = await openObjectStore(url, { baseDir: process.cwd() });
    try {
      await objects.ping();
    } finally {
      await objects.close();
    }
    return { check: 'objects', state: 'ok', detail: url };
  } catch (error) {
    return failed('objects', error);
  }
}

async function checkIsolation(): Promise<Finding> {
  const pool = await openPool({
    types: [],
    environment: process.env,
    log: createLog({ name: 'doctor', level: 'silent' }),
  });
  const { level } = pool;
  await pool.close();
  const holds = {
    bwrap: 'children have no network and see no file but their own.',
    namespaces: 'children have no network and their own process ids; files by user id.',
    limits: 'children have limits on memory, CPU, files and processes, but share network and files with the worker.',
    none: 'children can be killed, nothing else holds them.',
  }[level];
  const weak = level === 'limits' || level === 'none';
  return {
    check: 'isolation',
    state: weak ? 'missing' : 'ok',
    detail: `${level}: ${holds}`,
    ...(weak
      ? { fix: 'Install bubblewrap (apt-get install bubblewrap) or allow user namespaces; give secrets by *_FILE.' }
      : {}),
  };
}

async function checkJobTypes(): Promise<Finding[]> {
  const { served, unavailable } = await findAvailable(await loadRegistry(), undefined, process.env);
  return [
    ...served.map(({ job }): Finding => ({ check: job.name, state: 'ok', detail: 'can run here.' })),
    ...Array.from(unavailable, ([name, reason]): Finding => ({ check: name, state: 'missing', detail: reason })),
  ];
}
