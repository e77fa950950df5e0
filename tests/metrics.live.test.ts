/** A scrape of a real process: every gauge that docs/operations.md names has a sample when there is something to say. */
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { openBackend } from '../backends/open.ts';
import { openReview } from '../backends/reviews.ts';
import { openFolderStore } from '../runtime/object-store-folder.ts';
import { type CliProcess, startCli } from './support/cli-process.ts';

let folder: string;
let up: CliProcess;
let server: { readonly url: string; readonly key: string };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-metrics-'));
  await chmod(folder, 0o755); // run by root, the embedded server is nobody's
  up = await startCli(['up'], folder);
  server = z.object({ url: z.string(), key: z.string() }).parse(up.ready);
});
afterAll(async () => {
  await up.stop();
  await rm(folder, { recursive: true, force: true });
});

async function documentedGauges(): Promise<string[]> {
  const text = await readFile(new URL('../docs/operations.md', import.meta.url), 'utf8');
  return Array.from(text.matchAll(/^\| `(\w+)` \| gauge \|/gm), ([, name = '']) => name);
}

/** As a worker of the fleet would. */
async function openOneReview(): Promise<void> {
  const backend = await openBackend(`embedded:${join(folder, '.jobfleet/queue')}`, {
    onError: (error) => expect(error).toBeUndefined(),
  });
  const objects = await openFolderStore(join(folder, '.jobfleet/objects'));
  const parts = { records: backend.records, objects, now: () => backend.now() };
  const found = { data: { total_amount: 1 }, issues: ['a test'], confidence: 0.5, pages: [] };
  await openReview(parts, { queue: 'document-ocr', id: 'document-ocr_1', tenant: '-' }, found);
  await objects.close();
  await backend.close();
}

it('has a sample of every documented gauge', async () => {
  const gauges = await documentedGauges();
  expect(gauges).toContain('jobfleet_queue_overdue_jobs');
  await openOneReview();
  const added = await fetch(`${server.url}/v1/jobs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'email-sending', payload: { to: 'ada@example.com', template: 'welcome' } }),
  });
  expect(added.status).toBe(202);
  await vi.waitFor(
    async () => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      const isSampled = (name: string): boolean => new RegExp(`^${name}(?:\\{[^}]*\\})? [\\d.e+-]+$`, 'm').test(text);
      expect(gauges.filter((name) => !isSampled(name))).toEqual([]);
    },
    { timeout: 60_000, interval: 200 },
  );
});
