/** Why a Redis cannot be used, in one sentence with the way out. */
import { certificateMistakes, type Mistake } from './mistakes.ts';
import { isAtLeast, type RedisInfo } from './redis-info.ts';
import { probePort } from './redis-probe.ts';
import type { RedisAddress } from './redis-url.ts';
import { BackendError, errorCode, errorText } from './unreachable.ts';

const least = [6, 2];

/** Throws when a server that answers is not what the address says it is, or is too old. */
export function judgeServer({ form, shown, tls }: RedisAddress, info: RedisInfo): void {
  const s = tls ? 's' : '';
  const refuse = (problem: string) => new BackendError('BACKEND_URL', `Redis at ${shown} ${problem}`);
  if (info['redis_mode'] === 'sentinel')
    throw refuse(`is a Sentinel: use redis${s}+sentinel://host:port/<master> in QUEUE_URL`);
  if (form !== 'cluster' && info['cluster_enabled'] === '1')
    throw refuse(`is a node of a Redis Cluster: use redis${s}+cluster://host:port in QUEUE_URL`);
  if (info['role'] === 'slave') {
    const fix =
      form === 'single'
        ? `name its primary in QUEUE_URL, or use redis${s}+sentinel://`
        : 'wait for the fail-over to end';
    throw new BackendError(
      form === 'single' ? 'BACKEND_URL' : 'BACKEND_UNREACHABLE',
      `Redis at ${shown} is a replica that takes no writes: ${fix}`,
    );
  }
  if (!isAtLeast(info['redis_version'], least))
    throw new BackendError(
      'BACKEND_UNSUPPORTED',
      `Redis at ${shown} is version ${info['redis_version']}: Jobfleet needs 6.2 or newer; update it`,
    );
}

/** The sentence for whatever a connection ended with; looks at the port itself when the error does not tell enough. */
export async function explainRedis(address: RedisAddress, error: unknown): Promise<BackendError> {
  if (error instanceof BackendError) return error;
  const found = await tellingCause(address, error);
  const text = errorText(found);
  const known = mistakes.find(({ when }) => when.test(`${errorCode(found)} ${text}`));
  const [code, words] =
    known === undefined
      ? (['BACKEND_UNREACHABLE', `does not answer (${text}); start it, or correct QUEUE_URL`] as const)
      : ([known.code, known.words(text, address)] as const);
  return new BackendError(code, `Redis at ${address.shown} ${words}`, { cause: error });
}

/** ioredis often says no more than "Connection is closed.": then the last node's words, or what the port answers, say why. */
async function tellingCause({ nodes: [first], tls }: RedisAddress, error: unknown): Promise<unknown> {
  const inner = error instanceof Error && 'lastNodeError' in error ? error.lastNodeError : undefined;
  const found = inner instanceof Error ? inner : error;
  if (!/closed|timed? ?out|ECONNRESET|EPIPE/i.test(`${errorCode(found)} ${errorText(found)}`)) return found;
  const seen = await probePort(first, tls);
  return seen ?? found;
}

const mistakes: readonly Mistake<RedisAddress>[] = [
  ...certificateMistakes,
  {
    when: /NOAUTH|WRONGPASS|invalid password|Authentication required/i,
    code: 'BACKEND_FORBIDDEN',
    words: (text, { user, password }) => {
      if (/sentinel/i.test(text))
        return 'has Sentinels that want a password of their own: add ?sentinelPassword= (and sentinelUser=) to QUEUE_URL';
      return user === undefined && password === undefined
        ? 'wants a password: put user:password@ before the host in QUEUE_URL'
        : 'refuses this user or password; correct them in QUEUE_URL';
    },
  },
  {
    when: /NOPERM/,
    code: 'BACKEND_FORBIDDEN',
    words: (text) =>
      `does not let this user work (${text}); give it the rights that docs/configuration.md lists for Redis users`,
  },
  {
    when: /DB index is out of range/,
    code: 'BACKEND_URL',
    words: (_text, { db }) =>
      `has no database ${db}; name a lower one in QUEUE_URL, or raise \`databases\` in redis.conf`,
  },
  {
    when: /cluster support disabled/i,
    code: 'BACKEND_URL',
    words: (_text, { tls }) =>
      `is no Redis Cluster; use redis${tls ? 's' : ''}://host:port, or redis${tls ? 's' : ''}+sentinel://, in QUEUE_URL`,
  },
  {
    when: /unknown command.*sentinel/i,
    code: 'BACKEND_URL',
    words: () => 'is no Sentinel; use redis://host:port for one server, or name the Sentinels (port 26379)',
  },
  {
    when: /invalid reply: null|No such master/,
    code: 'BACKEND_URL',
    words: (_text, { master }) =>
      `knows no primary called "${master}"; correct the name at the end of QUEUE_URL (SENTINEL MASTERS lists them)`,
  },
  {
    when: /CLUSTERDOWN/,
    code: 'BACKEND_UNREACHABLE',
    words: () => 'is not complete (cluster_state is not ok); bring its nodes up, CLUSTER INFO shows what is missing',
  },
  {
    when: /WRONG_VERSION_NUMBER|PACKET_LENGTH|wrong version number|before secure TLS|speaks no TLS/i,
    code: 'BACKEND_URL',
    words: (_text, { shown }) =>
      `does not speak TLS on this port; use ${shown.replace('rediss', 'redis')}, or its TLS port`,
  },
  {
    when: /speaks TLS only/,
    code: 'BACKEND_URL',
    words: (_text, { shown }) => `speaks TLS only on this port; use ${shown.replace('redis', 'rediss')} in QUEUE_URL`,
  },
];
