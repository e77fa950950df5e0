import { link, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dropPidFile, findProcess, isServerOf, judge, parsePid, readPidFile } from './pid-file.ts';

const data = '/srv/app/.jobfleet/queue';
const ours = { args: ['/opt/pg/bin/postgres', '-D', data, ''] };

describe('judging a lock file', () => {
  test.each([
    ['123\n/srv/app\n', 123],
    ['-123\n', 123],
    ['', undefined],
    ['0\n', undefined],
    ['postgres\n', undefined],
  ])('reads the number of %j', (content, pid) => {
    expect(parsePid(content)).toBe(pid);
  });

  test('a postgres with our directory is ours, whether told so or working in it', () => {
    expect(isServerOf(data, ours)).toBe(true);
    expect(isServerOf(data, { args: ['postgres', '-c', 'jit=off'], cwd: data })).toBe(true);
  });

  test.each([
    ['no process', undefined],
    ['the postgres of another directory', { args: ['/opt/pg/bin/postgres', '-D', '/srv/other'], cwd: '/srv/other' }],
    ['a backend', { args: ['postgres: checkpointer '], cwd: data }],
    ['an editor in our directory', { args: ['vi', '-D', data], cwd: data }],
    ['a directory that starts with ours', { args: ['postgres', '-D', `${data}2`] }],
  ])('%s is not', (_what, process) => {
    expect(isServerOf(data, process)).toBe(false);
  });

  test('tells the server from strangers, the dead and the unfinished', () => {
    expect(judge(data, '7\n', 0, ours)).toEqual({ state: 'ours', pid: 7 });
    expect(judge(data, '7\n', 0, undefined)).toEqual({ state: 'dead', pid: 7 });
    expect(judge(data, '7\n', 0, { args: ['/sbin/init'] })).toEqual({ state: 'stranger', content: '7\n' });
    expect(judge(data, 'x', 0, undefined)).toEqual({ state: 'stranger', content: 'x' });
    expect(judge(data, '', 400, undefined)).toEqual({ state: 'empty', ageMs: 400 });
  });
});

describe('on disk', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'jobfleet-pid-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('finds this process and no process of a number beyond all', async () => {
    expect((await findProcess(process.pid))?.args.length).toBeGreaterThan(0);
    expect(await findProcess(4_194_304)).toBeUndefined();
    expect(await readPidFile(join(folder, 'none'), folder)).toEqual({ state: 'absent' });
    await writeFile(join(folder, 'mine'), `${process.pid}\n`);
    expect(await readPidFile(join(folder, 'mine'), folder)).toMatchObject({ state: 'stranger' });
  });

  test('drops the file that was judged', async () => {
    const path = join(folder, 'stale');
    await writeFile(path, '7\n');
    await dropPidFile(path, '7\n');
    await dropPidFile(path, '7\n');
    expect(await readdir(folder)).not.toContain('stale');
  });

  test('puts back the file of a server that started meanwhile', async () => {
    const path = join(folder, 'postmaster.pid');
    await writeFile(path, '8\n');
    await link(path, `${path}.same`);
    await dropPidFile(path, '7\n');
    expect(await readFile(path, 'utf8')).toBe('8\n');
    expect((await readdir(folder)).filter((name) => name.includes('.stale-'))).toEqual([]);
  });
});
