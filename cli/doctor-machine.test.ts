import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkDisk, checkMemory, checkPort, checkProgram } from './doctor-machine.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

async function serving(body: string): Promise<number> {
  const server = createServer((_request, response) => response.end(body));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  return address.port;
}

describe('what doctor says of this machine', () => {
  it('tells a port that is free, ours, or of somebody else', async () => {
    const foreign = await serving('hello');
    expect(await checkPort('127.0.0.1', foreign)).toMatchObject({
      check: `port ${foreign}`,
      state: 'weak',
      detail: 'taken by another program on 127.0.0.1.',
      fix: expect.stringContaining('PORT'),
    });
    const ours = await serving('{"status":"ok"}');
    expect(await checkPort('127.0.0.1', ours)).toMatchObject({
      state: 'ok',
      detail: expect.stringContaining('Jobfleet'),
    });
    await new Promise((resolve) => servers.pop()?.close(resolve));
    expect(await checkPort('127.0.0.1', ours)).toMatchObject({ state: 'ok', detail: 'free on 127.0.0.1.' });
    expect(await checkPort('127.0.0.1', 0)).toMatchObject({ state: 'ok' });
  });

  it('shows the release of a program, and who misses one that is not there', async () => {
    const program = join(tmpdir(), 'a-program');
    await writeFile(program, '#!/bin/sh\necho "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026"\n', {
      mode: 0o755,
    });
    expect(await checkProgram(program, 'a test needs it')).toEqual({
      check: program,
      state: 'ok',
      detail: '5.1.9-0+deb12u1',
    });
    expect(await checkProgram('no-such-program', 'a test needs it')).toEqual({
      check: 'no-such-program',
      state: 'missing',
      detail: 'not on the PATH, or it does not start; a test needs it.',
    });
  });

  it('warns when a job may take more than there is', async () => {
    const folder = join(tmpdir(), 'not/there/yet');
    expect(await checkDisk(folder, 0)).toMatchObject({
      state: 'ok',
      detail: expect.stringMatching(/^\d+ MB of \d+ MB free\.$/),
    });
    const wanted = 1_048_576_000;
    expect(await checkDisk(folder, wanted)).toMatchObject({ state: 'weak', fix: expect.stringContaining('WORK_DIR') });
    expect(checkMemory(0)).toMatchObject({ check: 'memory', state: 'ok' });
    expect(checkMemory(wanted)).toMatchObject({
      state: 'weak',
      detail: expect.stringContaining(`one job may take ${wanted} MB`),
    });
  });
});
