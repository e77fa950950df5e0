/** What the end of script/test says, and when it refuses. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../script/lib/summary.js', import.meta.url));
const passed = { status: 'passed', fullName: 'a store keeps jobs', meta: {} };
const notAsked = { status: 'pending', fullName: 'a cluster runs a parent', meta: { notAsked: 'it keeps no flows' } };
const skipped = { status: 'pending', fullName: 'a store that is not here', meta: {} };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-summary-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function summary(tests: readonly object[], { reasons = '', ci = 'true' } = {}) {
  const [report, list] = [join(folder, 'report.json'), join(folder, 'skipped')];
  const file = { name: 'stores.test.ts', status: 'passed', startTime: 0, endTime: 1, assertionResults: tests };
  await writeFile(report, JSON.stringify({ testResults: [file] }));
  await writeFile(list, reasons);
  const { status, stdout } = spawnSync(process.execPath, [script, report, list], {
    env: { CI: ci },
    encoding: 'utf8',
  });
  return { status, lines: stdout.trimEnd().split('\n') };
}

describe('the end of script/test', () => {
  it('lists what a store cannot be asked, and CI accepts it', async () => {
    const { status, lines } = await summary([passed, notAsked]);
    expect(lines).toEqual([
      'Not asked of a store that cannot:',
      '  stores.test.ts: a cluster runs a parent: it keeps no flows',
      'Nothing was skipped.',
      '1 passed, 0 failed',
    ]);
    expect(status).toBe(0);
  });

  it.each([
    ['a skipped test', [passed, notAsked, skipped], ''],
    ['a missing server', [passed], 'Redis suites: redis-server is not installed\n'],
  ])('lists %s, which CI refuses and nobody else does', async (_what, tests, reasons) => {
    const inCi = await summary(tests, { reasons });
    expect(inCi.lines).toContain('CI=true refuses skips.');
    expect(inCi.status).toBe(1);
    expect((await summary(tests, { reasons, ci: '' })).status).toBe(0);
  });
});
