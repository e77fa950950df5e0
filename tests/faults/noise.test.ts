import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { VitalsLine } from './logs.ts';
import { judgeNoise, measureNoise } from './noise.ts';

const vitals = (errors: number, uptimeS: number): VitalsLine => ({
  t: 1,
  id: '-',
  actor: 1,
  seq: 1,
  event: 'vitals',
  errors,
  uptimeS,
  rssMb: 1,
  fds: 1,
  sockets: 1,
  loopP99Ms: 1,
});

it('a worker may say ten errors a second and a megabyte a minute, its reports of successes not counted', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-noise-'));
  try {
    const line = (level: string, bytes: number) => `{"level":"${level}","msg":"${'x'.repeat(bytes)}"}\n`;
    const path = join(folder, 'worker-1.log');
    await writeFile(path, line('info', 2_000_000) + line('error', 500_000));
    const calm = measureNoise(folder, [vitals(1, 1), vitals(100, 10)], 60);
    expect(calm).toMatchObject({ errors: 100, errorsPerS: 10 });
    expect(judgeNoise(calm)).toEqual([]);
    await writeFile(path, line('error', 1_200_000));
    expect(judgeNoise(measureNoise(folder, [vitals(111, 10)], 60)).map(({ kind }) => kind)).toEqual(['noise', 'noise']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
