/** The OpenAPI 3.1 document: made of the routes and of the job types, so that it cannot say anything else than the server does. */
import type { Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { enqueueOptions } from './accept.ts';
import { type FieldError, type ProducerCode, producerCodes } from './errors.ts';
import { type JsonSchema, jsonSchema } from './json-schema.ts';
import type { Route } from './route.ts';

const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });
const problemContent = { 'application/problem+json': { schema: ref('Problem') } };

export function openApiDocument(routes: readonly Route[], registry: Registry, version: string): JsonSchema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = route.path.replace('*}', '}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Jobfleet',
      version,
      description: 'Typed jobs over HTTP. Every error is problem+json (RFC 9457) with a stable `code`.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: problemSchema(), EnqueueOptions: jsonSchema(enqueueOptions), ...jobSchemas(registry) },
    },
  };
}

function operation(route: Route): JsonSchema {
  const body = bodySchema(route);
  return {
    operationId: route.operationId,
    summary: route.summary,
    tags: [route.tag],
    ...(route.scope === 'none' ? { security: [] } : {}),
    parameters: [...pathParameters(route), ...queryParameters(route), ...headerParameters(route)],
    ...(body === undefined ? {} : { requestBody: { required: true, content: body } }),
    responses: { ...Object.fromEntries(Object.entries(route.answers).map(answer)), ...refusals(route) },
  };
}

function bodySchema(route: Route): JsonSchema | undefined {
  if (route.rawBody === true) return { '*/*': { schema: {} } };
  if (route.operationId === 'enqueueJob') return { 'application/json': { schema: ref('Enqueue') } };
  const schema = route.body.safeParse(undefined).success ? undefined : jsonSchema(route.body);
  return schema === undefined ? undefined : { 'application/json': { schema } };
}

function pathParameters(route: Route): JsonSchema[] {
  return [...route.path.matchAll(/\{([a-z]+)\*?\}/gi)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(route: Route): JsonSchema[] {
  return Object.entries(route.query.shape).map(([name, field]) => ({
    name,
    in: 'query',
    required: false,
    schema: jsonSchema(field),
  }));
}

function headerParameters(route: Route): JsonSchema[] {
  return Object.entries(route.requestHeaders ?? {}).map(([name, description]) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  }));
}

function answer([status, described]: [string, Route['answers'][number]]): [string, JsonSchema] {
  const { description, schema, headers } = described;
  const isProblem = Number(status) >= 400;
  const content = schema === undefined ? undefined : { 'application/json': { schema: jsonSchema(schema, 'output') } };
  return [
    status,
    {
      description,
      ...(isProblem ? { content: problemContent } : content === undefined ? {} : { content }),
      ...(headers === undefined
        ? {}
        : {
            headers: Object.fromEntries(
              Object.entries(headers).map(([name, text]) => [name, { description: text, schema: { type: 'string' } }]),
            ),
          }),
    },
  ];
}

/** What every route may refuse, beside what it says itself. */
function refusals(route: Route): JsonSchema {
  const codes: ProducerCode[] = ['INVALID', 'NOT_FOUND', 'TIMEOUT', 'TOO_LARGE', 'LIMITED', 'INTERNAL', 'UNAVAILABLE'];
  if (route.scope !== 'none') codes.push('UNAUTHENTICATED', 'FORBIDDEN');
  if (['POST', 'PUT', 'PATCH'].includes(route.method)) codes.push('UNSUPPORTED_MEDIA_TYPE');
  if (route.operationId === 'enqueueJob') codes.push('IDEMPOTENCY_MISMATCH');
  if (route.operationId === 'getObject') codes.push('RANGE');
  const entries = codes.map((code): [string, JsonSchema] => {
    const { status, title } = producerCodes[code];
    return [String(status), { description: title, content: problemContent }];
  });
  return Object.fromEntries(entries.filter(([status]) => route.answers[Number(status)] === undefined));
}

function problemSchema(): JsonSchema {
  const text = { type: 'string' };
  const field: Record<keyof FieldError, JsonSchema> = { path: text, message: text };
  return {
    type: 'object',
    required: ['type', 'title', 'status', 'code', 'detail', 'errors', 'instance'],
    properties: {
      type: { type: 'string', description: 'Stable per code.' },
      title: text,
      status: { type: 'integer' },
      code: { type: 'string', enum: Object.keys(producerCodes) },
      detail: text,
      errors: { type: 'array', items: { type: 'object', required: ['path', 'message'], properties: field } },
      instance: { type: 'string', description: 'The request id; the log has the same one.' },
    },
  };
}

/** `Enqueue` is one of `Enqueue_<type>`, told apart by `type`; names and aliases are both accepted. */
function jobSchemas(registry: Registry): JsonSchema {
  const jobs = [...registry.jobs.values()];
  const nameOf = (job: Job): string => `Enqueue_${job.name}`;
  const mapping = jobs.flatMap((job) =>
    [job.name, ...job.aliases].map((name) => [name, `#/components/schemas/${nameOf(job)}`] as const),
  );
  return {
    Enqueue: {
      oneOf: jobs.map((job) => ref(nameOf(job))),
      discriminator: { propertyName: 'type', mapping: Object.fromEntries(mapping) },
    },
    ...Object.assign({}, ...jobs.map((job) => jobSchema(nameOf(job), job))),
  };
}

/** Definitions a payload shares between its fields become components of their own. */
function jobSchema(component: string, job: Job): JsonSchema {
  const { $defs, ...payload } = jsonSchema(job.payload);
  const shared = Object.entries(typeof $defs === 'object' && $defs !== null ? $defs : {});
  const schemas = {
    [component]: {
      type: 'object',
      description: job.summary,
      required: ['type', 'payload'],
      additionalProperties: false,
      properties: { type: { enum: [job.name, ...job.aliases] }, payload, options: ref('EnqueueOptions') },
    },
    ...Object.fromEntries(shared.map(([name, schema]) => [`${component}_${name}`, schema])),
  };
  return JSON.parse(JSON.stringify(schemas).replaceAll('"#/$defs/', `"#/components/schemas/${component}_`));
}
