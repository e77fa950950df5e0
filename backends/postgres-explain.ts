/** Why a PostgreSQL cannot be used, in one sentence with the way out. */
import { certificateMistakes, type Mistake } from './mistakes.ts';
import { isLost } from './postgres-pool.ts';
import { BackendError, errorCode, errorText } from './unreachable.ts';

/** `where` names the store. */
export function explainPostgres(where: string, error: unknown): BackendError {
  if (error instanceof BackendError) return error;
  const text = errorText(error);
  const known = mistakes.find(({ when }) => when.test(`${errorCode(error)} ${text}`));
  const [code, words] =
    known === undefined
      ? (['BACKEND_UNREACHABLE', unknownTo(error, text)] as const)
      : [known.code, known.words(text, where)];
  return new BackendError(code, `${where} ${words}`, { cause: error });
}

function unknownTo(error: unknown, text: string): string {
  if (isLost(error) || /timeout/i.test(text)) return `does not answer (${text}); start it, or correct QUEUE_URL`;
  return `cannot be used (${text}); correct QUEUE_URL, or ask the log of the server`;
}

const mistakes: readonly Mistake<string>[] = [
  ...certificateMistakes,
  {
    when: /client password must be a (non-empty )?string/,
    code: 'BACKEND_FORBIDDEN',
    words: () => 'wants a password: put user:password@ before the host in QUEUE_URL',
  },
  {
    when: /^28000 no pg_hba\.conf entry.*no encryption/,
    code: 'BACKEND_URL',
    words: () =>
      'has no rule that lets this user in without TLS; add ?sslmode=verify-full to QUEUE_URL, or a line to its pg_hba.conf',
  },
  {
    when: /^28000 .*pg_hba\.conf/,
    code: 'BACKEND_FORBIDDEN',
    words: (text) =>
      `does not let this user in from here (${text}); add a line to its pg_hba.conf, or correct QUEUE_URL`,
  },
  {
    when: /^(28000|28P01) /,
    code: 'BACKEND_FORBIDDEN',
    words: () => 'refuses this user or password; correct them in QUEUE_URL',
  },
  {
    when: /^3D000 /,
    code: 'BACKEND_UNREACHABLE',
    words: () => 'has no such database; create it (createdb) or correct QUEUE_URL',
  },
  {
    when: /^42501 /,
    code: 'BACKEND_FORBIDDEN',
    words: (text) =>
      `does not let this user work (${text}); GRANT CONNECT, CREATE ON DATABASE to it, or start once as the owner of the schemas bullmq and jobfleet`,
  },
  {
    when: /^25006 /,
    code: 'BACKEND_UNREACHABLE',
    words: () => 'is a replica that takes no writes; name its primary in QUEUE_URL',
  },
  {
    when: /^53300 /,
    code: 'BACKEND_UNREACHABLE',
    words: (text) =>
      `has no connection left (${text}); raise max_connections or the limit of the user, or run fewer processes`,
  },
  {
    when: /^57P03 /,
    code: 'BACKEND_UNREACHABLE',
    words: (text) => `takes no connections yet (${text}); wait until it has started`,
  },
  {
    when: /does not support SSL connections/,
    code: 'BACKEND_URL',
    words: () => 'does not speak TLS; take sslmode out of QUEUE_URL, or set ssl = on in its postgresql.conf',
  },
  {
    when: /ENOTFOUND|EAI_AGAIN/,
    code: 'BACKEND_UNREACHABLE',
    words: (text) => `has a name that leads nowhere (${text}); correct the host in QUEUE_URL`,
  },
  {
    when: /establishing an SSL connection|Connection terminated unexpectedly/,
    code: 'BACKEND_UNREACHABLE',
    words: (text) =>
      `hangs up before it says that it is a PostgreSQL (${text}); correct host and port in QUEUE_URL, or wait until it has started`,
  },
];
