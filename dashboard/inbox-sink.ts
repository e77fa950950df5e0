/** The SMTP side of the development inbox: listens on loopback, takes every mail, or refuses all of them on request. */
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { SMTPServer } from 'smtp-server';
import type { Envelope } from './inbox-store.ts';

export interface Sink {
  /** `smtp://127.0.0.1:<port>` */
  readonly url: string;
  /** From now on every mail is answered 451, as a server in trouble would; false ends it. */
  refuse(on: boolean): void;
  readonly isRefusing: () => boolean;
  close(): Promise<void>;
}

export interface SinkOptions {
  /** Resolving means accepted: only then the sender is told 250. */
  readonly deliver: (envelope: Envelope, source: Buffer) => Promise<unknown>;
  readonly onError: (error: Error) => void;
  /** Larger mails are refused with 552. Default 25 MB. */
  readonly maxBytes?: number;
}

/** Rejects when no loopback port can be had. */
export async function openSink({ deliver, onError, maxBytes = 25_000_000 }: SinkOptions): Promise<Sink> {
  let isRefusing = false;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    logger: false,
    size: maxBytes,
    maxClients: 100,
    closeTimeout: 1_000,
    banner: 'Jobfleet development inbox',
    onRcptTo(_address, _session, done) {
      done(isRefusing ? smtpError(451, 'this inbox refuses mail until "Accept mail" is pressed') : null);
    },
    onData(stream, session, done) {
      const from = session.envelope.mailFrom;
      const to = session.envelope.rcptTo.map((receiver) => receiver.address);
      const receive = async () => {
        const source = await collect(stream, maxBytes);
        if (source === undefined) throw smtpError(552, `the mail is larger than ${maxBytes} bytes`);
        await deliver({ from: from === false ? '' : from.address, to }, source);
      };
      receive().then(
        () => done(),
        (error: unknown) => {
          const failure = error instanceof Error ? error : new Error(String(error));
          if (!('responseCode' in failure)) onError(failure);
          done(failure);
        },
      );
    },
  });
  server.on('error', onError);
  const listener = server.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string')
    throw new Error('the development inbox got no port to listen on');
  return {
    url: `smtp://127.0.0.1:${address.port}`,
    refuse: (on) => {
      isRefusing = on;
    },
    isRefusing: () => isRefusing,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function smtpError(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

/** Reads to the end, as the protocol demands, but keeps no more than the limit; undefined when there was more. */
async function collect(stream: Readable, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk);
    sizeBytes += bytes.length;
    if (sizeBytes <= maxBytes) chunks.push(bytes);
    else chunks.length = 0;
  }
  return sizeBytes > maxBytes ? undefined : Buffer.concat(chunks);
}
