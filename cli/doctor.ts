/**
 * `jobfleet doctor`: looks at this machine and the configured servers the way the processes themselves would, and says
 * what works, what is missing for what, and how to get it. Changes nothing; starts the embedded store only if it runs
 * already or may be started, as every command that uses it does.
 */
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { z } from 'zod';
import { defaultPolicy } from '../jobs/policy.ts';
import { loadRegistry, type Registry } from '../jobs/registry.ts';
import { commonEnv, parseEnv } from '../runtime/env.ts';
import { createLog } from '../runtime/log.ts';
import { mongoPools, openDocuments } from '../runtime/open-documents.ts';
import { openObjectStore } from '../runtime/open-object-store.ts';
import { secretBoxOf } from '../runtime/secret-box.ts';
import { findAvailable } from '../workers/availability.ts';
import { openPool } from '../workers/isolate/pool.ts';
import { documentsMissing } from '../workers/services/documents.ts';
import { checkDisk, checkMemory, checkPort, checkProgram } from './doctor-machine.ts';
import { checkStore } from './doctor-store.ts';
import type { Finding } from './finding.ts';
import { CliError, print, table } from './output.ts';

type Environment = z.output<typeof commonEnv>;

export async function doctor(flags: { readonly json?: boolean }): Promise<void> {
  const env = parseEnv(commonEnv, process.env);
  const [documents, registry] = await Promise.all([checkDocuments(env), loadRegistry()]);
  const findings = [
    checkNode(),
    ...(await checkMachine(env, registry)),
    ...(await checkStore(env)),
    await checkObjects(env),
    documents,
    await checkIsolation(),
    ...(await checkJobTypes(env, registry, documents)),
  ];
  print(flags.json === true, { findings }, (it) =>
    table(
      ['', 'check', 'finding'],
      it.findings.map(({ state, check, detail, why, fix }) => [
        state,
        check,
        [detail, why, fix].filter((part) => part !== undefined).join(' '),
      ]),
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

/** What `up`, `api`, `dashboard` and `worker` listen on unless PORT says otherwise. */
const usualPorts = [3_000, 3_001, 3_002];

async function checkMachine({ DATA_DIR, HOST, PORT }: Environment, registry: Registry): Promise<Finding[]> {
  const folders = new Set([resolve(DATA_DIR), resolve(process.env['WORK_DIR'] ?? tmpdir())]);
  const jobs = [...registry.jobs.values()];
  const memoryMb = Math.max(...jobs.map(({ policy }) => (policy.isolation === 'child' ? policy.child.memoryMb : 0)));
  return [
    checkMemory(memoryMb),
    ...(await Promise.all([
      ...[...folders].map((folder) => checkDisk(folder, defaultPolicy.child.diskMb)),
      ...(PORT === undefined ? usualPorts : [PORT]).map((port) => checkPort(HOST, port)),
      checkProgram('ffmpeg', 'video-transcoding needs it'),
    ])),
  ];
}

function failed(check: string, error: unknown, fix: string): Finding {
  return { check, state: 'unsafe', detail: error instanceof Error ? error.message : String(error), fix };
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
    return failed(
      'objects',
      error,
      'Correct STORAGE_URL; a bucket must exist, with credentials that may read, write and list it, a folder must be writable.',
    );
  }
}

const documentsFix =
  'Correct MONGODB_URL or start that server; without MONGODB_URL the PostgreSQL that keeps the queue keeps documents too.';

/** Asks the server who it is; makes nothing. */
async function checkDocuments({ MONGODB_URL, QUEUE_URL }: Environment): Promise<Finding> {
  const check = 'documents';
  if (MONGODB_URL === undefined) {
    return QUEUE_URL.startsWith('redis')
      ? { check, state: 'missing', detail: documentsMissing }
      : { check, state: 'ok', detail: 'kept by the PostgreSQL that keeps the queue.' };
  }
  try {
    const documents = await openDocuments({}, { mongoUrl: MONGODB_URL, sql: undefined, pool: mongoPools.worker });
    const problem = await documents?.problem();
    await documents?.close();
    return problem === undefined
      ? { check, state: 'ok', detail: 'kept by MongoDB (MONGODB_URL).' }
      : { check, state: 'unsafe', detail: problem, fix: documentsFix };
  } catch (error) {
    return failed(check, error, documentsFix);
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

async function checkJobTypes({ QUEUE_URL }: Environment, registry: Registry, documents: Finding): Promise<Finding[]> {
  const { served, unavailable } = await findAvailable(registry, undefined, process.env, {
    capabilities: { flows: !QUEUE_URL.startsWith('redis+cluster:') },
    documents: async () => (documents.state === 'ok' ? undefined : documents.detail),
    key: secretBoxOf(process.env) !== undefined,
  });
  return [
    ...served.map(({ job }): Finding => ({ check: job.name, state: 'ok', detail: 'can run here.' })),
    ...served.flatMap(({ job, handler, env }) =>
      Object.values(handler.gaps(env)).map(
        (detail): Finding => ({ check: job.name, state: 'missing', detail: `${detail}.` }),
      ),
    ),
    ...Array.from(unavailable, ([name, reason]): Finding => ({ check: name, state: 'missing', detail: reason })),
  ];
}
