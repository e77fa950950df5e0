/**
 * The routes every process answers: `/livez` (this process works: restart it when not), `/readyz` (send it work),
 * `/startupz`, `/metrics`, and the aliases `/health`, `/health/{liveness,readiness,startup}`. No credential, no payload,
 * no name of a host in any answer. Register it before a rate limit or a login.
 */
import type { FastifyInstance, FastifyPluginAsync, FastifyReply } from 'fastify';
import type { Metrics } from './metrics.ts';

interface HealthOptions {
  /** Why this process should be restarted; undefined when it works. Must not ask the store: a restart would not help. */
  readonly live: () => string | undefined;
  /** Why no work should be sent here (store unreachable, draining); undefined when ready. */
  readonly ready: () => Promise<string | undefined> | string | undefined;
  /** True once the process has come up. Default: always. */
  readonly started?: () => boolean;
  readonly metrics: Pick<Metrics, 'contentType' | 'text'>;
}

type Check = () => Promise<string | undefined> | string | undefined;

/** Fastify plugin. Answers 200 `{status: "ok"}` or 503 `{status: "unavailable", reason}`; `/metrics` is Prometheus text. */
export const healthRoutes: FastifyPluginAsync<HealthOptions> = async (app: FastifyInstance, options: HealthOptions) => {
  const startup: Check = () => ((options.started?.() ?? true) ? undefined : 'still starting');
  const checks: readonly (readonly [Check, readonly string[]])[] = [
    [options.live, ['/livez', '/health/liveness']],
    [options.ready, ['/readyz', '/health', '/health/readiness']],
    [startup, ['/startupz', '/health/startup']],
  ];
  const quiet = { logLevel: 'warn' as const };
  for (const [check, paths] of checks) {
    for (const path of paths) app.get(path, quiet, async (_request, reply) => answer(reply, await check()));
  }
  app.get('/metrics', quiet, async (_request, reply) => {
    const text = await options.metrics.text();
    return reply.header('cache-control', 'no-store').type(options.metrics.contentType).send(text);
  });
};

function answer(reply: FastifyReply, reason: string | undefined): FastifyReply {
  reply.header('cache-control', 'no-store').code(reason === undefined ? 200 : 503);
  return reply.send(reason === undefined ? { status: 'ok' } : { status: 'unavailable', reason });
}
