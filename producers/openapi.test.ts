import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { openTestApi, type TestApi } from '../tests/support/api.ts';

let api: TestApi;
let text: string;
beforeAll(async () => {
  api = await openTestApi();
  text = await (await fetch(`${api.url}/openapi.json`)).text();
});
afterAll(() => api.close());

const operation = z.looseObject({
  operationId: z.string(),
  summary: z.string(),
  parameters: z.array(z.looseObject({ name: z.string(), in: z.string() })),
  responses: z.record(z.string(), z.looseObject({ description: z.string().min(1) })),
});
const methods = ['get', 'post', 'put', 'patch', 'delete'] as const;
const shape = z.looseObject({
  openapi: z.literal('3.1.0'),
  info: z.object({ title: z.string(), version: z.string(), description: z.string(), license: z.unknown() }),
  paths: z.record(z.string().startsWith('/'), z.partialRecord(z.enum(methods), operation)),
  components: z.object({
    schemas: z.record(z.string().regex(/^[A-Za-z0-9._-]+$/), z.looseObject({})),
    securitySchemes: z.unknown(),
  }),
});

test('is an OpenAPI 3.1 document in which every reference resolves and every operation has a name of its own', () => {
  const document = shape.parse(JSON.parse(text));
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
  const names = operations.map(({ operationId }) => operationId);
  expect(new Set(names).size).toBe(names.length);
  const references = [...text.matchAll(/"\$ref":"([^"]+)"|"(#\/components\/schemas\/[^"]+)"/g)].map(
    ([, a, b]) => a ?? b ?? '',
  );
  expect(references.length).toBeGreaterThan(5);
  expect(
    references.filter((ref) => document.components.schemas[ref.replace('#/components/schemas/', '')] === undefined),
  ).toEqual([]);
  for (const [path, operations] of Object.entries(document.paths)) {
    const placeholders = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    for (const one of Object.values(operations)) {
      const declared = one?.parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
      expect(declared).toEqual(placeholders);
    }
  }
  expect(text).not.toContain('$schema');
});

test('lists each job type once, with its aliases, payload and file fields', async () => {
  const folders = (await readdir(new URL('../jobs/', import.meta.url), { recursive: true }))
    .filter((file) => file.endsWith('/job.ts'))
    .map((file) => file.slice(0, -'/job.ts'.length))
    .toSorted();
  const { schemas } = shape.parse(JSON.parse(text)).components;
  const enqueue = z
    .object({
      oneOf: z.array(z.object({ $ref: z.string() })),
      discriminator: z.object({ propertyName: z.literal('type'), mapping: z.record(z.string(), z.string()) }),
    })
    .parse(schemas['Enqueue']);
  expect(enqueue.oneOf.map(({ $ref }) => $ref.split('Enqueue_')[1])).toEqual(folders);
  for (const name of [...folders, 'video_transcoding'])
    expect(Object.keys(enqueue.discriminator.mapping)).toContain(name);
  const video = z
    .looseObject({
      required: z.array(z.string()),
      properties: z
        .object({
          type: z.object({ enum: z.array(z.string()) }),
          payload: z.looseObject({
            properties: z.looseObject({ video_url: z.looseObject({ file: z.literal(true) }) }),
          }),
        })
        .loose(),
    })
    .parse(schemas['Enqueue_video-transcoding']);
  expect(video.properties.type.enum).toEqual(['video-transcoding', 'video_transcoding']);
  expect(video.required).toEqual(['type', 'payload']);
});

test('every documented route exists, and asks for a key unless it says otherwise', async () => {
  const document = shape.parse(JSON.parse(text));
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, one] of Object.entries(operations)) {
      const address = path.replaceAll(/\{[^}]+\}/g, 'x');
      const answer = await fetch(api.url + address, { method: method.toUpperCase() });
      const isOpen = JSON.stringify(one?.['security']) === '[]';
      expect([path, method, answer.status]).toEqual([path, method, isOpen ? 404 : 401]);
      expect((await answer.text()).includes('"code"')).toBe(true);
    }
  }
});

test('other methods are 405 with the ones that exist, other addresses 404', async () => {
  const wrongMethod = await api.call('PUT', '/v1/jobs', {});
  expect(wrongMethod).toMatchObject({ status: 405, json: { code: 'METHOD_NOT_ALLOWED' } });
  expect(wrongMethod.headers.get('allow')).toBe('GET, POST');
  expect(await api.call('GET', '/v1/nothing')).toMatchObject({ status: 404, json: { code: 'NOT_FOUND' } });
});

test('/docs comes from here alone', async () => {
  const page = await fetch(`${api.url}/docs/`);
  expect(page.status).toBe(200);
  const html = await page.text();
  expect(html).not.toMatch(/(?:src|href)="https?:/);
  expect(html).not.toMatch(/<script(?![^>]*\bsrc=)/);
  expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
  expect(page.headers.get('strict-transport-security')).toBeNull();
  for (const [, path] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
    expect((await fetch(new URL(path ?? '', `${api.url}/docs/`))).status).toBe(200);
  }
});

test('a flood from one address is 429 with Retry-After, before any login', async () => {
  const small = await openTestApi({ env: { HTTP_RATE_LIMIT: '3' } });
  try {
    const statuses: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) statuses.push((await fetch(`${small.url}/v1/types`)).status);
    expect(statuses).toEqual([401, 401, 401, 429]);
    const limited = await small.call('GET', '/v1/types');
    expect(limited).toMatchObject({ status: 429, json: { code: 'LIMITED' } });
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await fetch(`${small.url}/livez`)).status).toBe(200);
    expect(await (await fetch(`${small.url}/metrics`)).text()).toMatch(
      /jobfleet_rate_limited_total\{tenant_class="address"\} 2/,
    );
  } finally {
    await small.close();
  }
});
