/** A real SMTP server for tests: keeps what reached it, envelope and message apart, and refuses on request. */
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

export interface SunkMail {
  readonly from: string;
  /** Receivers of the envelope: who would really have got it. */
  readonly to: readonly string[];
  readonly source: string;
}

export interface SmtpSink {
  readonly url: string;
  readonly mails: readonly SunkMail[];
  /** Answers every receiver with this until called without one. */
  refuse(answer?: { readonly status: number; readonly text: string }): void;
  /**
   * The next message waits for its answer once it has arrived whole. The promise resolves at that moment with the way to
   * accept it. A client that breaks off before leaves it unanswered: it is in nobody's mailbox and not in `mails`.
   */
  holdNext(): Promise<{ readonly source: string; readonly accept: () => void }>;
  close(): Promise<void>;
}

/** Listens on a free loopback port. `options` are smtp-server's own, for TLS and authentication. */
export async function openSmtpSink(options: SMTPServerOptions = {}): Promise<SmtpSink> {
  const mails: SunkMail[] = [];
  let hold: ((held: { readonly source: string; readonly accept: () => void }) => void) | undefined;
  let refusal: { readonly status: number; readonly text: string } | undefined;
  const server = new SMTPServer({
    authOptional: true,
    logger: false, // Also keeps smtp-server from warning about its built-in certificate, which only the TLS test shows.
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    onRcptTo(_address, _session, done) {
      done(refusal === undefined ? null : Object.assign(new Error(refusal.text), { responseCode: refusal.status }));
    },
    onData(stream, session, done) {
      text(stream).then((source) => {
        const from = session.envelope.mailFrom;
        const accept = () => {
          mails.push({
            from: from === false ? '' : from.address,
            to: session.envelope.rcptTo.map((one) => one.address),
            source,
          });
          done();
        };
        if (hold === undefined) accept();
        else hold({ source, accept });
        hold = undefined;
      }, done);
    },
    ...options,
  });
  server.on('error', () => undefined); // A client that breaks off is part of the tests.
  const listener = server.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the SMTP sink has no port');
  return {
    url: `smtp://127.0.0.1:${address.port}`,
    mails,
    refuse: (answer) => {
      refusal = answer;
    },
    holdNext: () => new Promise((resolve) => (hold = resolve)),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
