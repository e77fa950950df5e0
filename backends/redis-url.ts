/** What a `QUEUE_URL` for Redis says: which servers, who asks, over what. Reads text only; nothing is connected here. */
import { BackendError, shownUrl } from './unreachable.ts';

export interface RedisNodeAddress {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  readonly form: 'cluster' | 'sentinel' | 'single';
  /** The servers named; Sentinels where the form says so. At least one. */
  readonly nodes: readonly [RedisNodeAddress, ...RedisNodeAddress[]];
  /** Certificates are verified against Node's authorities and NODE_EXTRA_CA_CERTS. */
  readonly tls: boolean;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  /** What the Sentinels call the primary; '' in the other forms. */
  readonly master: string;
  readonly sentinelUser: string | undefined;
  readonly sentinelPassword: string | undefined;
  /** For messages: no user, password or parameters. */
  readonly shown: string;
}

const pattern = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/?#]*)@)?([^@/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i;
const parameters: Readonly<Record<RedisAddress['form'], readonly string[]>> = {
  cluster: [],
  sentinel: ['db', 'sentinelUser', 'sentinelPassword'],
  single: ['db'],
};
const forms =
  'redis://[user:password@]host:port/database, redis+sentinel://host:port,host:port/<master>, redis+cluster://host:port,host:port';

/** Throws `BackendError` (`BACKEND_URL`) with one sentence: what is wrong and what the address should look like. */
export function parseRedisUrl(url: string): RedisAddress {
  const shown = shownUrl(url);
  const refuse = (problem: string) => new BackendError('BACKEND_URL', `QUEUE_URL "${shown}" ${problem}`);
  const [, scheme = '', kind, credentials, hosts = '', path = '', query = ''] = pattern.exec(url) ?? [];
  if (scheme === '')
    throw refuse(
      `is no address: expected ${forms}, rediss for TLS, with special characters of the password percent-encoded`,
    );
  const form = formOf(kind);
  const nodes = hosts.split(',').map((text) => readNode(text, form === 'sentinel' ? 26_379 : 6_379));
  const [first, ...others] = nodes;
  if (first === undefined || others.includes(undefined) || hosts === '')
    throw refuse(`is no address: expected ${forms}, ports from 1 to 65535`);
  if (form === 'single' && others.length > 0)
    throw refuse('names several servers: use redis+sentinel://…/<master> or redis+cluster://…');
  const given = new URLSearchParams(query);
  const unknown = [...given.keys()].find((name) => !parameters[form].includes(name));
  if (unknown !== undefined)
    throw refuse(`has the parameter "${unknown}": known here ${parameters[form].join(', ') || 'is none'}`);
  if (form === 'sentinel' && (path === '' || path.includes('/')))
    throw refuse('names no primary: end it with the name your Sentinels watch, redis+sentinel://host:26379/<master>');
  const dbText = given.get('db') ?? (form === 'sentinel' ? '' : path);
  const db = dbText === '' ? 0 : Number(dbText);
  if (!Number.isInteger(db) || db < 0) throw refuse(`names the database "${dbText}": expected a number from 0`);
  if (form === 'cluster' && db !== 0) throw refuse(`names database ${db}: Redis Cluster has database 0 only; drop it`);
  const [user, password] = readCredentials(credentials, refuse);
  return {
    form,
    nodes: [first, ...others.filter((node) => node !== undefined)],
    tls: scheme.toLowerCase() === 'rediss',
    user,
    password,
    db,
    master: form === 'sentinel' ? decodeURIComponent(path) : '',
    sentinelUser: given.get('sentinelUser') ?? undefined,
    sentinelPassword: given.get('sentinelPassword') ?? undefined,
    shown,
  };
}

function formOf(kind: string | undefined): RedisAddress['form'] {
  switch (kind?.toLowerCase() ?? '') {
    case 'sentinel':
      return 'sentinel';
    case 'cluster':
      return 'cluster';
    default:
      return 'single';
  }
}

/** `host`, `host:port`, `[v6]:port`. */
function readNode(text: string, defaultPort: number): RedisNodeAddress | undefined {
  const [, v6, name, portText] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = v6 ?? name;
  const port = portText === undefined ? defaultPort : Number(portText);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  return { host, port };
}

function readCredentials(
  text: string | undefined,
  refuse: (problem: string) => BackendError,
): readonly [string | undefined, string | undefined] {
  if (text === undefined || text === '') return [undefined, undefined];
  const colon = text.indexOf(':');
  try {
    const user = decodeURIComponent(colon === -1 ? text : text.slice(0, colon));
    const password = colon === -1 ? undefined : decodeURIComponent(text.slice(colon + 1));
    return [user === '' ? undefined : user, password];
  } catch {
    throw refuse('has a user or password that is not percent-encoded: write % as %25');
  }
}
