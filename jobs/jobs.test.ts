import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadRegistry } from './registry.ts';

const registry = await loadRegistry();

describe.each([...registry.jobs.values()])('jobs/$name', (job) => {
  const folder = new URL(`${job.name}/`, import.meta.url);

  it('has a handler of its own job', async () => {
    const handler = await registry.handler(job.name);
    expect(handler.job).toBe(job);
  });

  it('still parses every payload shape it ever released', async () => {
    const files = (await readdir(new URL('payloads/', folder))).filter((file) => file.endsWith('.json'));
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      const payload: unknown = JSON.parse(await readFile(new URL(`payloads/${file}`, folder), 'utf8'));
      expect(job.payload.safeParse(payload), file).toMatchObject({ success: true });
    }
  });

  it('refuses unknown payload fields', async () => {
    const [file] = await readdir(new URL('payloads/', folder));
    const payload = JSON.parse(await readFile(new URL(`payloads/${file}`, folder), 'utf8')) as object;
    expect(job.payload.safeParse({ ...payload, somethingElse: 1 }).success).toBe(false);
  });

  it('can be shown as JSON Schema in API documentation and on the board', () => {
    const schema = z.toJSONSchema(job.payload, { target: 'draft-7', io: 'input' });
    const shapes = schema.oneOf ?? schema.anyOf ?? [schema]; // a union says one shape for each of its members
    expect(shapes.length).toBeGreaterThan(0);
    for (const shape of shapes) {
      expect(shape).toMatchObject({ type: 'object', additionalProperties: false });
      expect(Object.keys(shape.properties ?? {}).length).toBeGreaterThan(0);
    }
  });

  it('says in one sentence what it does', () => {
    expect(job.summary).toMatch(/^[A-Z].{10,200}\.$/);
  });
});

describe('the registry', () => {
  it('finds a job type by name and by alias', () => {
    for (const job of registry.jobs.values()) {
      expect(registry.find(job.name)).toBe(job);
      for (const alias of job.aliases) expect(registry.find(alias)).toBe(job);
    }
    expect(registry.find('no-such-type')).toBeUndefined();
  });

  it('keeps any name from being the beginning of another at a dash', () => {
    const names = [...registry.jobs.keys()];
    for (const name of names) expect(names.filter((other) => other.startsWith(`${name}-`))).toEqual([]);
  });
});
