/**
 * The HTTP API as one encapsulated Fastify plugin, so that `jobfleet up` can put it beside the board on one instance:
 * its parsers, error handler, headers and limits hold for its own routes and for addresses nobody knows.
 */
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import swagger, { type StaticDocumentSpec } from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { Metrics } from '../runtime/metrics.ts';
import type { Client } from './client.ts';
import { ProducerError } from './errors.ts';
import { fieldScopes, refuseUnscoped } from './field-scopes.ts';
import { sendProblem } from './http-errors.ts';
import type { Keys } from './keys.ts';
import { credentialOf, nobody, refuseOddRequests } from './login.ts';
import { openApiDocument } from './openapi.ts';
import { readBodiesStrictly } from './read-body.ts';
import { fastifyPath, notFound, type Route } from './route.ts';
import { type DeadLetterRouteParts, deadLetterRoutes } from './routes-dead-letters.ts';
import { type EnqueueRouteParts, enqueueRoutes } from './routes-enqueue.ts';
import { type EventRouteParts, endStreams, eventRoutes } from './routes-events.ts';
import { type FlowRouteParts, flowRoutes } from './routes-flows.ts';
import { type HookRouteParts, hookRoutes } from './routes-hooks.ts';
import { type JobRouteParts, jobRoutes } from './routes-jobs.ts';
import { type NewsRouteParts, newsRoutes } from './routes-news.ts';
import { type NotificationRouteParts, notificationRoutes } from './routes-notifications.ts';
import { queueRoutes } from './routes-queues.ts';
import { type ReviewRouteParts, reviewRoutes } from './routes-reviews.ts';
import { scalingRoutes } from './routes-scaling.ts';
import { scheduleRoutes } from './routes-schedules.ts';
import { type TableRouteParts, tableRoutes } from './routes-tables.ts';
import { tenantRoutes } from './routes-tenants.ts';
import { uploadRoutes } from './routes-uploads.ts';
import { workerRoutes } from './routes-workers.ts';
import { refuseUnavailable } from './type-availability.ts';

export interface ApiOptions
  extends EnqueueRouteParts,
    FlowRouteParts,
    JobRouteParts,
    EventRouteParts,
    DeadLetterRouteParts,
    HookRouteParts,
    NewsRouteParts,
    NotificationRouteParts,
    TableRouteParts,
    ReviewRouteParts {
  readonly client: Client;
  readonly keys: Keys;
  readonly metrics: Metrics;
  /** Requests a minute and address, before the login; 0 = no limit. */
  readonly requestsPerMinute: number;
  readonly uploadMaxBytes: number;
  /** Where callers reach us, for links; default: as the request says. */
  readonly publicUrl: string | undefined;
  readonly version: string;
}

/** Fastify plugin: all `/v1` routes, `/openapi.json`, `/docs`. Set the server up with `serverOptions()`. */
export const api: FastifyPluginAsync<ApiOptions> = async (app: FastifyInstance, options: ApiOptions) => {
  const routes = [
    ...enqueueRoutes(options),
    ...flowRoutes(options),
    ...jobRoutes(options),
    ...eventRoutes(options),
    ...deadLetterRoutes(options),
    ...queueRoutes(options),
    ...scalingRoutes(options),
    ...scheduleRoutes(options),
    ...workerRoutes(options),
    ...tenantRoutes(options),
    ...reviewRoutes(options),
    ...hookRoutes(options),
    ...notificationRoutes(options),
    ...newsRoutes(options),
    ...tableRoutes(options),
    ...uploadRoutes({ objects: options.objects, links: options.links, maxBytes: options.uploadMaxBytes }),
  ];
  readBodiesStrictly(app);
  app.setErrorHandler(sendProblem);
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
    refuseOddRequests(request);
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    options.metrics.httpDuration.observe({ route, status: String(reply.statusCode) }, reply.elapsedTime / 1_000);
  });
  // Before the server waits for its connections: a stream would keep one open for an hour.
  app.addHook('preClose', () => endStreams(options.events));
  await addHeaders(app, options);
  await addRateLimit(app, options);
  for (const route of routes)
    if (route.rawBody !== true && route.bodyLimits === undefined) addRoute(app, route, options);
  for (const route of routes) {
    if (route.bodyLimits === undefined) continue;
    await app.register(async (scope) => {
      readBodiesStrictly(scope, route.bodyLimits);
      addRoute(scope, route, options);
    });
  }
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    // The route reads the stream itself.
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    for (const route of routes.filter((one) => one.rawBody === true)) addRoute(scope, route, options);
  });
  await addDocs(app, routes, options);
  const unknown = options.requestsPerMinute === 0 ? {} : { preHandler: app.rateLimit() };
  app.setNotFoundHandler(unknown, async (request, reply) => {
    const methods = methodsAt(request.url.split('?', 1)[0] ?? '', routes);
    if (methods.length === 0) throw notFound();
    void reply.header('allow', methods.join(', '));
    throw new ProducerError('METHOD_NOT_ALLOWED', `Allowed here: ${methods.join(', ')}.`);
  });
};

const policy = {
  'default-src': ["'self'"],
  'base-uri': ["'none'"],
  'connect-src': ["'self'"],
  'frame-ancestors': ["'none'"],
  'img-src': ["'self'", 'data:'],
  'object-src': ["'none'"],
  'script-src': ["'self'"],
  // Swagger UI sets style attributes.
  'style-src': ["'self'", "'unsafe-inline'"],
};

/** Without the logo of the web server and the field for other documents. */
const docsStyle = '.swagger-ui .topbar .link, .swagger-ui .topbar .download-url-wrapper { display: none }';

/** Plain HTTP keeps working: nothing here sends a browser to HTTPS. */
async function addHeaders(app: FastifyInstance, options: ApiOptions): Promise<void> {
  const isSecure = options.publicUrl?.startsWith('https:') === true;
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: policy },
    strictTransportSecurity: isSecure ? { maxAge: 31_536_000 } : false,
  });
}

async function addRateLimit(app: FastifyInstance, options: ApiOptions): Promise<void> {
  if (options.requestsPerMinute === 0) return;
  await app.register(rateLimit, {
    enableDraftSpec: true,
    errorResponseBuilder: (_request, context) =>
      new ProducerError('LIMITED', `At most ${context.max} requests in ${context.after} from one address.`),
    max: options.requestsPerMinute,
    onExceeded: () => options.metrics.rateLimited.inc({ tenant_class: 'address' }),
    timeWindow: 60_000,
  });
}

/** Where jobs are added by the name of their type. */
const addingPaths = new Set(['/v1/jobs', '/v1/jobs/batch', '/v1/flows']);

function addRoute(app: FastifyInstance, route: Route, options: ApiOptions): void {
  const refuse = refuseUnavailable(options.backend, options.registry);
  const known = fieldScopes(options.registry);
  const handle: Route['handle'] = async (call) => {
    if (route.scope !== 'none') refuseUnscoped(known, options.registry, call.body, call.credential);
    if (route.method === 'POST' && addingPaths.has(route.path)) await refuse(call.body);
    return route.handle(call);
  };
  const credentials = new WeakMap<FastifyRequest, Awaited<ReturnType<typeof credentialOf>>>();
  app.route({
    method: route.method,
    url: fastifyPath(route.path),
    // After the rate limit (it counts strangers too), before the body is read: a stranger's is not worth the memory.
    preParsing: async (request) => {
      if (route.scope !== 'none') credentials.set(request, await credentialOf(request, options.keys, route.scope));
    },
    handler: async (request, reply) => {
      const {
        status,
        headers = {},
        body,
      } = await handle({
        request,
        params: request.params,
        query: request.query,
        body: request.body,
        credential: credentials.get(request) ?? nobody,
        baseUrl: baseUrlOf(request, options.publicUrl),
      });
      return send(reply.code(status).headers(headers), body);
    },
  });
}

function send(reply: FastifyReply, body: object | undefined): FastifyReply {
  if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
  return body === undefined ? reply.send() : reply.send(body);
}

/** The Host header is the caller's own word and comes back to the caller alone; what is no host is not repeated. */
function baseUrlOf(request: FastifyRequest, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl.replace(/\/+$/, '');
  const host = /^[A-Za-z0-9.:[\]_-]{1,255}$/.test(request.host) ? request.host : 'localhost';
  return `${request.protocol}://${host}`;
}

async function addDocs(app: FastifyInstance, routes: readonly Route[], options: ApiOptions): Promise<void> {
  const document = openApiDocument(routes, options.registry, options.version);
  app.get('/openapi.json', async (_request, reply) => reply.header('cache-control', 'no-cache').send(document));
  await app.register(async (scope) => {
    // A copy: the plugin owns what it is given.
    const specification: StaticDocumentSpec = { document: JSON.parse(JSON.stringify(document)) };
    await scope.register(swagger, { mode: 'static', specification });
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: false,
      theme: { title: 'Jobfleet API', css: [{ filename: 'jobfleet.css', content: docsStyle }] },
      uiConfig: { deepLinking: true, persistAuthorization: false, validatorUrl: null },
    });
  });
}

/** Empty for an address nobody knows. */
function methodsAt(path: string, routes: readonly Route[]): string[] {
  return routes
    .filter((route) => matches(route.path, path))
    .map((route) => route.method)
    .toSorted();
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  return (
    wanted.every((part, index) => part.startsWith('{') || part === given[index]) &&
    (given.length === wanted.length || (pattern.endsWith('*}') && given.length > wanted.length))
  );
}
