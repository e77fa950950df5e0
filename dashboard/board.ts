/**
 * Bull Board over every queue of the registry, made safe to show: masked, no foreign request, closed content security
 * policy, roles, payloads checked, every change logged with who made it. Register it behind `Auth.guard`.
 */
import { createBullBoard } from '@bull-board/api';
import { FastifyAdapter } from '@bull-board/fastify';
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { createDeadLetters } from '../backends/dead-letters.ts';
import { createPauses, type Pauses } from '../backends/pauses.ts';
import type { Registry } from '../jobs/registry.ts';
import { type Client, storedSecrets } from '../producers/client.ts';
import type { Log } from '../runtime/log.ts';
import type { SecretBox } from '../runtime/secret-box.ts';
import { BoardQueue } from './board-queue.ts';
import { type Change, changeOf, contentCheck, type RuleParts, roleRefusal } from './board-rules.ts';
import { watchFleet } from './fleet.ts';
import type { User } from './users.ts';

interface BoardOptions {
  readonly backend: Backend;
  readonly registry: Registry;
  readonly client: Client;
  /** Of the client; jobs with secret fields are edited with it. */
  readonly secrets?: SecretBox | undefined;
  readonly log: Log;
  /** Who makes this request. */
  readonly userOf: (request: FastifyRequest) => User;
  /** Pages linked from the menu beside Bull Board's own. */
  readonly links?: readonly { readonly text: string; readonly url: string }[];
  /** Check every answer against the schema of its route; for tests. */
  readonly validateResponses?: boolean;
}

/** The board's styles are inline; everything else comes from this server or is refused. */
const policy =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; base-uri 'self'; form-action 'self'; object-src 'none'; frame-ancestors 'none'";

/** At `/board` of the instance it is registered on. */
export const board: FastifyPluginAsync<BoardOptions> = async (app, options) => {
  const { backend, registry, client, log } = options;
  const names = [...registry.jobs.keys()];
  const pauses = createPauses(backend);
  const fleet = watchFleet({ backend, pauses }, names);
  const secretsOf: RuleParts['secretsOf'] = (job, owner) => storedSecrets(job, options.secrets, owner);
  const deadLetters = createDeadLetters({
    backend,
    queues: names,
    checkPayload: (queue, payload) => payloadProblem(registry, queue, payload),
    secrets: (queue, job) => secretsOf(registry.jobs.get(queue), job),
  });
  const rules: RuleParts = { backend, registry, deadLetters, secretsOf };
  const adapter = new FastifyAdapter().setBasePath('/board');
  createBullBoard({
    queues: [...registry.jobs.values()].map(
      (job) => new BoardQueue(job, backend.queue(job.name), { client, deadLetters, fleet }),
    ),
    serverAdapter: adapter,
    options: {
      uiConfig: uiConfig(options),
      ...(options.validateResponses === true ? { validateResponses: true } : {}),
    },
  });
  await app.register(
    async (scope) => {
      readJsonBodies(scope);
      scope.addHook('onSend', async (_request, reply, payload) => tidy(reply, payload));
      scope.addHook('preHandler', async (request, reply) => {
        if (request.method === 'GET' || request.method === 'HEAD') {
          if (request.routeOptions.url?.endsWith('/api/queues') === true) await fleet.refresh();
          return;
        }
        await allowChange(request, reply, options.userOf(request), rules);
        if (!reply.sent) await notePause(changeOf(request), options.userOf(request), names, pauses);
      });
      scope.addHook('onResponse', async (request, reply) => {
        if (request.method !== 'GET' && request.method !== 'HEAD')
          logChange(log, request, reply, options.userOf(request));
      });
      await scope.register(adapter.registerPlugin());
    },
    { prefix: '/board' },
  );
};

function uiConfig({ links = [] }: BoardOptions) {
  return {
    boardTitle: 'Jobfleet',
    hideDocsLink: true,
    miscLinks: [...links],
    pollingInterval: { showSetting: true },
    sortQueues: true,
  };
}

function payloadProblem(registry: Registry, queue: string, payload: unknown): string | undefined {
  const job = registry.jobs.get(queue);
  if (job === undefined) return `there is no job type "${queue}" in this release`;
  const parsed = job.payload.safeParse(payload);
  return parsed.success ? undefined : `the payload does not match the schema: ${z.prettifyError(parsed.error)}`;
}

/** The API around may read bodies its own way; the board needs plain JSON, and sends none with most changes. */
function readJsonBodies(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  const parse = scope.getDefaultJsonParser('error', 'error');
  scope.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, String(body), done);
  });
  scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, _body, done) => {
    done(null, undefined); // What the board's client calls a request without a body.
  });
}

/** Takes the font link of another company out of the page, and closes the page to everything foreign. */
function tidy(reply: FastifyReply, payload: unknown): unknown {
  reply
    .header('content-security-policy', policy)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'same-origin')
    .header('x-frame-options', 'DENY');
  const isPage = String(reply.getHeader('content-type') ?? '').startsWith('text/html');
  if (!isPage || typeof payload !== 'string') return payload;
  reply.header('cache-control', 'no-store').removeHeader('content-length');
  return payload.replace(/<link href="https?:[^>]*>\s*/g, '');
}

async function allowChange(request: FastifyRequest, reply: FastifyReply, user: User, rules: RuleParts) {
  const change = changeOf(request);
  const checked = roleRefusal(change, user) ?? (await contentCheck(change, request.body, rules));
  if (checked === undefined) return;
  if ('body' in checked) {
    request.body = checked.body;
    return;
  }
  const { status, ...body } = checked;
  return reply.code(status).send(body);
}

/** The board pauses and resumes by BullMQ's own calls; the record with the owner comes first. */
async function notePause(change: Change, user: User, names: readonly string[], pauses: Pauses): Promise<void> {
  const queues = change.queue === undefined ? names : names.filter((name) => name === change.queue);
  const wish = { by: user.name, reason: 'on the board' };
  if (change.route === '/pause') for (const queue of queues) await pauses.pauseQueue(queue, wish);
  if (change.route === '/resume') for (const queue of queues) await pauses.resumeQueue(queue);
}

/** One line per change, refused ones too: who, what, on which job, with what answer. Never a payload. */
function logChange(log: Log, request: FastifyRequest, reply: FastifyReply, user: User): void {
  const { route, queue, jobId, status } = changeOf(request);
  log.info(
    {
      actor: user.name,
      role: user.role,
      action: `${request.method} ${route}`,
      queue,
      jobId,
      jobStatus: status,
      statusCode: reply.statusCode,
    },
    'operator action',
  );
}
