/** An S3-protocol server of one test's own, to be killed and started again on the same port. The shared one of script/test stays up. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { vi } from 'vitest';

/** The program; undefined where script/test has none. */
export const s3Program = process.env['TEST_S3_SERVER'];

export interface S3Server {
  /** What a process needs to use it. */
  readonly env: Readonly<Record<string, string>>;
  readonly client: S3Client;
  readonly bucket: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  close(): Promise<void>;
}

const credentials = { accessKeyId: 'test', secretAccessKey: 'testtest' };

/** Keeps its objects in `folder`; runs, with an empty bucket. */
export async function openS3Server(program: string, folder: string): Promise<S3Server> {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const [objects, meta] = [join(folder, 's3-objects'), join(folder, 's3-meta')];
  await Promise.all([objects, meta].map((path) => mkdir(path)));
  let running: ChildProcess | undefined;
  const server: S3Server = {
    env: {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    client: new S3Client({ endpoint, region: 'us-east-1', credentials, forcePathStyle: true }),
    bucket: 'outage',
    async start() {
      const { accessKeyId, secretAccessKey } = credentials;
      const own = ['-a', accessKeyId, '-s', secretAccessKey, '-p', `127.0.0.1:${port}`, '-q', '--health', '/healthz'];
      running = spawn(program, [...own, 'posix', '--sidecar', meta, objects], { stdio: 'ignore' });
      await vi.waitFor(() => fetch(`${endpoint}/healthz`), { timeout: 20_000, interval: 20 });
    },
    async kill() {
      if (running === undefined) return;
      const gone = once(running, 'exit');
      running.kill('SIGKILL');
      running = undefined;
      await gone;
    },
    async close() {
      server.client.destroy();
      await server.kill();
    },
  };
  await server.start();
  await server.client.send(new CreateBucketCommand({ Bucket: server.bucket }));
  return server;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
