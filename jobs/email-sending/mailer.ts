/**
 * One SMTP server, reached through a small pool. The envelope is ours: one checked sender, one checked receiver, never
 * what a header parser made of a text. Messages are built from strings only: no file, no address to load, no raw source.
 */
import { createHash } from 'node:crypto';
import { createTransport } from 'nodemailer';
import { z } from 'zod';
import { giveUp, JobError, retry, tryAgainIn } from '../errors.ts';
import { mailbox } from './payload.ts';

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly html: string;
  readonly text: string;
  readonly locale: string;
}

export interface Mailer {
  /**
   * Answers the Message-ID, which depends on `id` alone: a repetition after a crash carries the same one, and receivers
   * that drop duplicates drop it. Throws `SMTP_<status>` (dead for 5xx, else retried), `NETWORK`, or the signal's reason.
   */
  send(id: string, mail: Mail, signal: AbortSignal): Promise<string>;
  /** Ends idle connections at once, busy ones after their message. */
  close(): void;
}

/** How long a greylisting server is left alone: most ask for five minutes. */
const greylistMs = 5 * 60_000;
const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * `smtpUrl` is `smtp://[user:password@]host[:port]` (587) or `smtps://…` (465). Over `smtp:` STARTTLS is used when
 * offered, and demanded before a password leaves this machine. `from` is `address` or `Name <address>`.
 */
export function openMailer(smtpUrl: string, from: string): Mailer {
  const server = new URL(smtpUrl);
  const sender = parseSender(from);
  const secure = server.protocol === 'smtps:';
  const user = decodeURIComponent(server.username);
  const transport = createTransport({
    pool: true,
    host: server.hostname.replace(/^\[|\]$/g, ''),
    port: server.port === '' ? (secure ? 465 : 587) : Number(server.port),
    secure,
    requireTLS: !secure && user !== '' && !loopback.test(server.hostname),
    ...(user === '' ? {} : { auth: { user, pass: decodeURIComponent(server.password) } }),
    maxConnections: 5,
    // A message whose connection broke is never sent again behind our back: that decision belongs to the job's retry.
    maxRequeues: 0,
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 20_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send(id, mail, signal) {
      signal.throwIfAborted();
      const messageId = messageIdOf(id, sender.address);
      checkLines(mail);
      try {
        await transport.sendMail({ ...message(mail, sender, messageId), signal });
      } catch (error) {
        signal.throwIfAborted();
        throw judge(error);
      }
      return messageId;
    },
    close: () => transport.close(),
  };
}

export interface Sender {
  readonly name: string;
  readonly address: string;
}

/** Throws one sentence when `from` is neither `address` nor `Name <address>`. `localhost` is allowed as its domain. */
export function parseSender(from: string): Sender {
  const parts = /^(?:"?(?<name>[^"<>\p{Cc}]{0,100}?)"?\s*<(?<inner>[^<>\s]+)>|(?<bare>[^<>\s]+))$/u.exec(from.trim());
  const address = parts?.groups?.['inner'] ?? parts?.groups?.['bare'] ?? '';
  if (!mailbox.test(address.replace(/@localhost$/, '@localhost.local')))
    throw new Error(`"${from.slice(0, 80)}" is no sender; expected an address or Name <address>`);
  return { name: parts?.groups?.['name'] ?? '', address };
}

/** The job id itself where it can stand in a header, else its hash. */
function messageIdOf(id: string, sender: string): string {
  const local = /^[A-Za-z0-9_-]{1,100}$/.test(id) ? id : createHash('sha256').update(id).digest('hex');
  return `<${local}@${sender.slice(sender.lastIndexOf('@') + 1)}>`;
}

/** The schema refused these before; checked again at the border, because the cost of being wrong is somebody's mail. */
function checkLines(mail: Mail): void {
  if (!mailbox.test(mail.to)) throw giveUp('PAYLOAD_INVALID', 'to: expected one address');
  if (/\p{Cc}/u.test(mail.subject)) throw giveUp('PAYLOAD_INVALID', 'subject: control characters are refused');
}

function message(mail: Mail, sender: Sender, messageId: string) {
  return {
    envelope: { from: sender.address, to: [mail.to] },
    from: { name: sender.name, address: sender.address },
    to: { name: '', address: mail.to },
    subject: mail.subject,
    html: mail.html,
    text: mail.text,
    messageId,
    xMailer: false as const,
    headers: { 'Auto-Submitted': 'auto-generated', 'Content-Language': mail.locale },
  };
}

/** Whether a failed `send` speaks against the server and not against its one mail: no connection, silence, a refused login. */
export function isServerTrouble(error: unknown): boolean {
  return error instanceof JobError && ['NETWORK', 'SMTP_421', ...refusedLogins].includes(error.code);
}
const refusedLogins = ['SMTP_530', 'SMTP_534', 'SMTP_535', 'SMTP_538'];

/** What nodemailer writes on its errors; anything else has none of it. */
const smtpError = z
  .object({
    code: z.string().optional(),
    responseCode: z.number().optional(),
    response: z.string().optional(),
  })
  .catch({});

/** What a failure of the transport means for the job. Answers of the server keep their number, without their text's addresses. */
function judge(error: unknown): Error {
  const { code: cause, responseCode: status = 0, response = '' } = smtpError.parse(error);
  const said = `the mail server answered: ${redact(response) || status}`;
  const code = `SMTP_${status}`;
  if (cause === 'EAUTH' || cause === 'ENOAUTH')
    return retry(status === 0 ? 'NETWORK' : code, `${said}; check the user and password of SMTP_URL`, 0, {
      cause: error,
    });
  if (status >= 400 && status < 500)
    return /gr[ae]y-?list/i.test(response)
      ? tryAgainIn(greylistMs, code, said, { cause: error })
      : retry(code, said, 0, { cause: error });
  if (status >= 500) return giveUp(code, said, { cause: error });
  const why = error instanceof Error ? redact(error.message) : 'unknown failure';
  return retry('NETWORK', `the mail was not sent: ${why}; check SMTP_URL and that the server answers`, 0, {
    cause: error,
  });
}

/** One line, at most 200 characters, addresses left out. */
function redact(text: string): string {
  return text
    .slice(0, 400)
    .replace(/<?[^\s<>@]{1,64}@[^\s<>]{1,255}>?/g, '<address>')
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, 200);
}
